/** `sluice cluster`: a highly available cluster on this machine, to start, to break, and to watch. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { clusterDown, clusterEnvironment, clusterUp, killPart, requireCluster, requirePart, startPart } from '../../cluster/cluster.ts';
import type { ClusterRecord } from '../../cluster/cluster-file.ts';
import { clusterStatus, type PartStatus } from '../../cluster/status.ts';
import { lastLines } from '../../local/log-file.ts';
import { type Session, STATE_FOLDER } from '../session.ts';

const FOLDER = join(STATE_FOLDER, 'cluster');

export interface ClusterUpOptions {
  readonly workers: number;
  readonly observability: boolean;
  readonly install?: boolean;
}

export async function clusterUpCommand(session: Session, { workers, observability, install = false }: ClusterUpOptions): Promise<void> {
  const record = await clusterUp({
    ...{ folder: FOLDER, workers, observability, install, env: session.env, pipelines: session.pipelines },
    onProgress: (message) => session.output.note(message),
  });
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

export async function clusterStatusCommand(session: Session): Promise<void> {
  const parts = await clusterStatus(FOLDER, await requireCluster(FOLDER));
  session.output.result({ parts }, () => statusText(parts));
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
  const stopped = await clusterDown(FOLDER, session.env, (message) => session.output.note(message));
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
  const pids = await killPart(FOLDER, name, { signal, which: only, hold });
  const next = hold ? ` It is left down until: sluice cluster start ${name}.` : ' It is started again by itself.';
  session.output.result(
    { part: name, signal, pids },
    pids.length === 0
      ? `${name} does not run.`
      : `Sent ${signal} to ${name} (process ${pids.join(', ')}).${signal === 'SIGKILL' ? next : ''}`,
  );
}

export async function clusterStartCommand(session: Session, name: string): Promise<void> {
  await startPart(FOLDER, name);
  session.output.result({ part: name }, `${name} is started.`);
}

export async function clusterLogsCommand(session: Session, name: string, { follow = false }: { readonly follow?: boolean }): Promise<void> {
  await requirePart(FOLDER, name);
  const file = join(FOLDER, 'logs', `${name}.log`);
  if (!follow) {
    const lines = await lastLines(file, 50);
    session.output.result({ part: name, file, lines: lines.split('\n') }, lines);
    return;
  }
  await once(spawn('tail', ['-n', '50', '-F', file], { stdio: 'inherit' }), 'exit');
}

export async function clusterEnvCommand(session: Session): Promise<void> {
  const environment = await clusterEnvironment(FOLDER, await requireCluster(FOLDER));
  session.output.result(environment, () =>
    Object.entries(environment)
      .map(([name, value]) => `export ${name}='${value}'`)
      .join('\n'),
  );
}
