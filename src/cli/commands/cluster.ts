/** `sluice cluster`: a highly available cluster on this machine, to start, to break, and to watch. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import {
  clusterDown,
  clusterEnvironment,
  clusterUp,
  clusterUpAgain,
  killCluster,
  killPart,
  requireCluster,
  requireLog,
  requirePartEnvironment,
  SUPERVISOR,
  startPart,
} from '../../cluster/cluster.ts';
import type { ClusterRecord } from '../../cluster/cluster-file.ts';
import { named, regionFolder, regionNames, regionsDown, regionsEnvironment, regionsUp } from '../../cluster/regions.ts';
import { clusterStatus, isSupervised, type PartStatus } from '../../cluster/status.ts';
import { describeError, PermanentError } from '../../errors.ts';
import { lastLines } from '../../local/log-file.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { type Session, STATE_FOLDER } from '../session.ts';

const FOLDER = join(STATE_FOLDER, 'cluster');

export interface ClusterUpOptions {
  readonly workers: number;
  readonly observability: boolean;
  readonly install?: boolean;
  /** `a,b` */
  readonly regions?: string;
}

export async function clusterUpCommand(
  session: Session,
  { workers, observability, install = false, regions }: ClusterUpOptions,
): Promise<void> {
  const options = {
    ...{ folder: FOLDER, workers, observability, install, env: session.env, pipelines: session.pipelines },
    onProgress: (message: string) => session.output.note(message),
  };
  const names = regions?.split(',') ?? (await regionNames(FOLDER));
  if (names.length > 0) {
    const records = await regionsUp(names, options);
    const environment = await regionsEnvironment(FOLDER, records);
    session.output.result({ regions: records, environment }, () => regionsText(records));
    return;
  }
  const record = await clusterUp(options);
  const environment = await clusterEnvironment(FOLDER, record);
  session.output.result({ parts: record.parts, environment }, () => upText(record, environment));
}

function upText(record: ClusterRecord, environment: Record<string, string>): string {
  const at = (name: string, port: number) => `http://${record.parts[name]?.address}:${port}`;
  return [
    `Up: ${Object.keys(record.parts).length} parts.`,
    `  Web UI        ${environment.TEMPORAL_UI_URL}`,
    `  proxies       ${at('haproxy1', 8404)} and ${at('haproxy2', 8404)}`,
    ...(record.parts.prometheus ? [`  Prometheus    ${at('prometheus', 9090)}`, `  Alertmanager  ${at('alertmanager', 9093)}`] : []),
    'In any terminal of this folder: eval "$(sluice cluster env)", then sluice run PIPELINE.',
    'Break something: sluice cluster kill pg1. Look: sluice cluster status. Stop: sluice cluster down.',
  ].join('\n');
}

function regionsText(records: Readonly<Record<string, ClusterRecord>>): string {
  const [first = '', second = ''] = Object.keys(records);
  return [
    ...Object.entries(records).map(
      ([name, { parts }]) =>
        `Region ${name} is up: ${Object.keys(parts).length} parts. Web UI: http://${parts['temporal-ui']?.address}:8080`,
    ),
    'In any terminal of this folder: eval "$(sluice cluster env)", then sluice run PIPELINE, and sluice region status.',
    `Lose a region: sluice cluster kill ${first}, then sluice region failover ${second} --force. Stop: sluice cluster down.`,
  ].join('\n');
}

export async function clusterStatusCommand(session: Session): Promise<void> {
  const regions = await regionNames(FOLDER);
  const folders = regions.length > 0 ? regions.map((region) => regionFolder(FOLDER, region)) : [FOLDER];
  const clusters = await Promise.all(
    folders.map(async (folder, nth) => {
      const record = await requireCluster(folder);
      const parts = await clusterStatus(folder, record);
      const region = regions[nth];
      return {
        supervised: isSupervised(record),
        parts: parts.map((part) => (region ? { ...part, name: `${region}-${part.name}` } : part)),
      };
    }),
  );
  const parts = clusters.flatMap((cluster) => cluster.parts);
  const supervised = clusters.every((cluster) => cluster.supervised);
  session.output.result({ parts, supervised }, () => statusText(parts));
  // What is down as a whole is meant to be.
  if (clusters.some((cluster) => !cluster.supervised && cluster.parts.some(({ pid }) => pid !== null)))
    session.output.note('The supervisor does not run: a part that dies stays away. Start it again with what runs: sluice cluster up.');
}

function statusText(parts: readonly PartStatus[]): string {
  const head = ['part', 'state', 'role', 'address', 'process', 'restarts', 'memory'];
  const rows = parts.map((part) => [
    ...[part.name, part.state, part.role, part.address, part.pid === null ? '' : String(part.pid), String(part.restarts || '')],
    part.bytes === null ? '' : `${Math.round(part.bytes / 1e6)} MB`,
  ]);
  const widths = head.map((title, nth) => Math.max(title.length, ...rows.map((row) => row[nth]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, nth) => cell.padEnd(widths[nth] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export async function clusterDownCommand(session: Session): Promise<void> {
  const down = (await regionNames(FOLDER)).length > 0 ? regionsDown : clusterDown;
  const stopped = await down(FOLDER, session.env, (message) => session.output.note(message));
  session.output.result({ stopped }, stopped ? 'Stopped. Data and history are kept.' : 'Nothing was running here.');
}

export interface ClusterKillOptions {
  readonly signal: NodeJS.Signals;
  readonly only: 'all' | 'main' | 'postgres';
  readonly hold?: boolean;
}

export async function clusterKillCommand(
  session: Session,
  name: string,
  { signal, only, hold = false }: ClusterKillOptions,
): Promise<void> {
  const { folder, part } = await named(FOLDER, name);
  if (part === null) {
    const killed = await killCluster(folder);
    session.output.result(
      { part: name, signal: 'SIGKILL', pids: killed },
      `Killed all of region ${name} (${killed.length} processes). It is left down until: sluice cluster start ${name}.`,
    );
    return;
  }
  const pids = await killPart(folder, part, { signal, which: only, hold });
  const next = hold ? ` It is left down until: sluice cluster start ${name}.` : ' It is started again by itself.';
  session.output.result(
    { part: name, signal, pids },
    pids.length === 0
      ? `${name} does not run.`
      : `Sent ${signal} to ${name} (process ${pids.join(', ')}).${signal === 'SIGKILL' ? next : ''}`,
  );
}

export async function clusterStartCommand(session: Session, name: string): Promise<void> {
  const { folder, part } = await named(FOLDER, name);
  if (part === null) await clusterUpAgain(folder, { env: session.env, onProgress: (message) => session.output.note(message) });
  else await startPart(folder, part);
  session.output.result({ part: name }, `${name} is started.`);
}

export async function clusterLogsCommand(session: Session, name: string, { follow = false }: { readonly follow?: boolean }): Promise<void> {
  const { folder, part } = await named(FOLDER, name);
  const file = await requireLog(folder, part ?? SUPERVISOR);
  if (!follow) {
    const lines = await lastLines(file, 50);
    session.output.result({ part: name, file, lines: lines.split('\n') }, lines);
    return;
  }
  await once(spawn('tail', ['-n', '50', '-F', file], { stdio: 'inherit' }), 'exit');
}

/** Runs a command as a part sees the cluster. */
export async function clusterExecCommand(session: Session, name: string, [command = '', ...args]: readonly string[]): Promise<ExitStatus> {
  const { folder, part } = await named(FOLDER, name);
  if (part === null) throw new PermanentError('UnknownPart', `${name} is a region: name one of its parts, as ${name}-pg1.`);
  const env = await requirePartEnvironment(folder, part, session.env);
  const child = spawn(command, args, { stdio: 'inherit', env });
  const [code] = await once(child, 'exit').catch((error: Error) => {
    throw new PermanentError('CannotStart', `${command} could not be started: ${describeError(error)}.`);
  });
  return code === 0 ? EXIT.done : EXIT.failed;
}

export async function clusterEnvCommand(session: Session): Promise<void> {
  const environment = await environmentOf(FOLDER);
  session.output.result(environment, () =>
    Object.entries(environment)
      .map(([name, value]) => `export ${name}='${value}'`)
      .join('\n'),
  );
}

async function environmentOf(folder: string): Promise<Record<string, string>> {
  const regions = await regionNames(folder);
  if (regions.length === 0) return await clusterEnvironment(folder, await requireCluster(folder));
  const records = await Promise.all(
    regions.map(async (region): Promise<[string, ClusterRecord]> => [region, await requireCluster(regionFolder(folder, region))]),
  );
  return await regionsEnvironment(folder, Object.fromEntries(records));
}
