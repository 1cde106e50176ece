/** A highly available cluster of processes on this machine, made of docker-compose.yml: up, down, and what state it is in. */
import { access, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PermanentError } from '../errors.ts';
import { lastLines, logPosition } from '../local/log-file.ts';
import { endProcess, isAlive, signalProcess } from '../local/process-identity.ts';
import { spawnServer } from '../local/server-process.ts';
import { type ClusterRecord, clusterSecrets, type PartRecord, readCluster, type WantedCluster, writeCluster } from './cluster-file.ts';
import type { ComposeService } from './compose-file.ts';
import { isHealthy } from './health.ts';
import { holdPart, letPartGo } from './held.ts';
import { chooseNetwork } from './network.ts';
import { partEnvironment, placeParts, type WantedServices, wantedServices, whereabouts } from './parts.ts';
import { portsOf, requireOpenPorts } from './ports.ts';
import { processesOf, type Which } from './postmaster.ts';
import { findPrograms, installPrograms, requireAll } from './programs.ts';
import { isSupervised } from './status.ts';
import { Supervisor } from './supervisor.ts';

/** What its log is called. */
export const SUPERVISOR = 'supervisor';
const SUPERVISE = fileURLToPath(new URL('./supervise.js', import.meta.url));
/** In the root of this package, from dist/src/cluster. */
export const COMPOSE_FILE = fileURLToPath(new URL('../../../docker-compose.yml', import.meta.url));
const REGION_FILE = fileURLToPath(new URL('../../../docker-compose.region.yml', import.meta.url));

/** What makes a cluster one of several regions. */
export interface RegionOptions {
  readonly variables: Readonly<Record<string, string>>;
  /** Networks of all regions, by name. */
  readonly networks: Readonly<Record<string, string>>;
  readonly network: string;
}

export interface UpOptions {
  /** Where everything of the cluster is. */
  readonly folder: string;
  /** @default it is the only one */
  readonly region?: RegionOptions;
  readonly workers: number;
  /** Folder of the pipelines. */
  readonly pipelines: string;
  /** Prometheus and Alertmanager too. */
  readonly observability: boolean;
  /** Installs what is missing. */
  readonly install: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (message: string) => void;
}

/**
 * Starts the cluster in the background and waits until all of it is well. What runs already stays as it is.
 *
 * @throws PermanentError `MissingPrograms` with the commands that bring them, `ClusterFailed` with the end of the log
 */
export async function clusterUp(options: UpOptions): Promise<ClusterRecord> {
  const folder = resolve(options.folder);
  const services = await requireMachine(options);
  const wanted = await wantedCluster(folder, options);
  const before = await readCluster(folder);
  if (before && isSupervised(before)) {
    if (JSON.stringify(before.wanted) !== JSON.stringify(wanted)) {
      throw new PermanentError('ClusterRuns', 'A cluster with other options runs in this folder. Stop it first: sluice cluster down.');
    }
  } else {
    await requireOpenPorts(portsOf(services));
    await superviseCluster(folder, { wanted, services, parts: before?.parts ?? {} }, options);
  }
  return (await readCluster(folder)) as ClusterRecord;
}

/**
 * What the machine must have, the quickest first: the folder of the pipelines, and the programs.
 * @returns the services that are wanted
 * @throws PermanentError `MissingPipelines`, `MissingPrograms`
 */
export async function requireMachine(options: UpOptions): Promise<ComposeService[]> {
  const pipelines = resolve(options.pipelines);
  await access(pipelines).catch(() => {
    throw new PermanentError('MissingPipelines', `There is no folder ${pipelines}. Name the folder of your pipelines with --pipelines.`);
  });
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  const services = await wantedServices(folder, servicesOf(options));
  await requirePrograms(services, options);
  return services;
}

/** Starts again what was up here, as it was; with nothing held. */
export async function clusterUpAgain(folder: string, options: Pick<UpOptions, 'env' | 'onProgress'>): Promise<void> {
  const { wanted, parts } = await requireCluster(folder);
  await superviseCluster(resolve(folder), { wanted, services: await wantedServices(folder, wanted), parts }, options);
}

interface Before {
  readonly wanted: WantedCluster;
  readonly services: readonly ComposeService[];
  readonly parts: ClusterRecord['parts'];
}

async function superviseCluster(
  folder: string,
  { wanted, services, parts }: Before,
  options: Pick<UpOptions, 'env' | 'onProgress'>,
): Promise<void> {
  // What was killed together with its supervisor is still said to be up.
  const alive = Object.entries(parts).filter(([, { process }]) => process !== null && isAlive(process));
  await writeCluster(folder, { wanted, supervisor: null, parts: Object.fromEntries(alive) });
  await rm(join(folder, 'held'), { recursive: true, force: true });
  const logFile = join(folder, 'logs', `${SUPERVISOR}.log`);
  const logStart = await logPosition(logFile);
  const started = await spawnServer({
    name: 'the supervisor',
    command: process.execPath,
    args: [SUPERVISE, folder],
    env: options.env,
    logFile,
  });
  started.unref();
  await untilUp(folder, services, options, async () => {
    if (started.ended()) throw new PermanentError('ClusterFailed', `The supervisor ended:\n${await lastLines(logFile, 12, logStart)}`);
  });
}

async function wantedCluster(folder: string, options: UpOptions): Promise<WantedCluster> {
  const { region, pipelines } = options;
  const known = await readCluster(folder);
  const network = region?.network ?? known?.wanted.network ?? (await chooseNetwork(folder));
  const { composeFiles, variables, profiles, workers } = servicesOf(options);
  return {
    ...{ composeFiles, variables, network, regions: { ...region?.networks }, workers, profiles },
    pipelines: resolve(pipelines),
    cwd: process.cwd(),
  };
}

function servicesOf({ region, observability, workers }: UpOptions): WantedServices {
  return {
    composeFiles: region ? [COMPOSE_FILE, REGION_FILE] : [COMPOSE_FILE],
    variables: { ...region?.variables },
    profiles: observability ? ['observability'] : [],
    workers,
  };
}

async function requirePrograms(services: readonly ComposeService[], { env, install, onProgress }: UpOptions): Promise<void> {
  let { missing } = await findPrograms(services, env);
  if (missing.length > 0 && install) {
    await installPrograms(missing, env, onProgress);
    ({ missing } = await findPrograms(services, env));
  }
  requireAll(missing);
}

const UP_MS = 180_000;

async function untilUp(
  folder: string,
  services: readonly ComposeService[],
  { onProgress }: Pick<UpOptions, 'onProgress'>,
  look: () => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + UP_MS;
  const told = new Set<string>();
  for (;;) {
    await look();
    const parts = (await readCluster(folder))?.parts ?? {};
    for (const { name } of services) {
      const part = parts[name];
      if (part?.state === 'failed')
        throw new PermanentError(
          'ClusterFailed',
          `${name} failed:\n${part.problem ?? (await lastLines(join(folder, 'logs', `${name}.log`), 12))}`,
        );
      if (part && isWell(part) && !told.has(name)) {
        told.add(name);
        onProgress(`${name} is ${part.state}.`);
      }
    }
    const late = services.filter(({ name }) => !told.has(name));
    if (late.length === 0) return;
    if (Date.now() > deadline) {
      const [first] = late as [ComposeService];
      const log = await lastLines(join(folder, 'logs', `${first.name}.log`), 12);
      throw new PermanentError(
        'ClusterFailed',
        `After ${UP_MS / 1000} s these are not up: ${late.map(({ name }) => name).join(', ')}. The log of ${first.name} ends:\n${log}`,
      );
    }
    await delay(100);
  }
}

function isWell({ state }: PartRecord): boolean {
  return state === 'up' || state === 'done' || state === 'held';
}

/** Stops everything; returns whether there was anything. Data and history are kept. */
export async function clusterDown(folder: string, env: NodeJS.ProcessEnv, onProgress: (message: string) => void): Promise<boolean> {
  const record = await readCluster(folder);
  if (!record) return false;
  if (record.supervisor && isAlive(record.supervisor)) {
    await endProcess(record.supervisor, [{ signal: 'SIGTERM', waitMs: 180_000 }]);
    return true;
  }
  // The supervisor is gone, and perhaps not all that it started.
  if (!Object.values(record.parts).some(({ process }) => process !== null && isAlive(process))) return false;
  const supervisor = await Supervisor.prepare({ folder: resolve(folder), wanted: record.wanted, env, onProgress });
  await supervisor.stop();
  return true;
}

/** @throws PermanentError `NoCluster`, `UnknownPart` */
export async function requirePart(folder: string, name: string): Promise<{ record: ClusterRecord; part: PartRecord }> {
  const record = await requireCluster(folder);
  const part = record.parts[name];
  if (!part) throw new PermanentError('UnknownPart', `There is no part "${name}". Parts: ${Object.keys(record.parts).join(', ')}.`);
  return { record, part };
}

/** @throws PermanentError `NoCluster` */
export async function requireCluster(folder: string): Promise<ClusterRecord> {
  const record = await readCluster(folder);
  if (!record) throw new PermanentError('NoCluster', 'There is no cluster in this folder. Start one: sluice cluster up.');
  return record;
}

export interface KillOptions {
  readonly signal: NodeJS.Signals;
  readonly which: Which;
  /** It is left down until `sluice cluster start`. */
  readonly hold: boolean;
}

/** Kills everything of a cluster at once, what supervises it first. Nothing starts it again but `clusterUpAgain`. */
export async function killCluster(folder: string): Promise<number[]> {
  const { wanted, supervisor, parts } = await requireCluster(folder);
  if (supervisor) signalProcess(supervisor, 'SIGKILL');
  const placed = placeParts(resolve(folder), wanted, await wantedServices(folder, wanted));
  const processes = await Promise.all(placed.map((part) => processesOf(part, parts[part.name]?.process ?? null, 'all')));
  return processes
    .flat()
    .filter((process) => signalProcess(process, 'SIGKILL'))
    .map(({ pid }) => pid);
}

/** Signals the processes of a part; returns their ids. */
export async function killPart(folder: string, name: string, { signal, which, hold }: KillOptions): Promise<number[]> {
  const { record, part } = await requirePart(folder, name);
  if (hold) await holdPart(folder, name);
  const services = await wantedServices(folder, record.wanted);
  const placed = placeParts(resolve(folder), record.wanted, services).find((each) => each.name === name);
  const processes = placed ? await processesOf(placed, part.process, which) : [];
  return processes.filter((process) => signalProcess(process, signal)).map(({ pid }) => pid);
}

/** The log of a part, or of what starts the parts: `supervisor`. @throws PermanentError `NoCluster`, `UnknownPart` */
export async function requireLog(folder: string, name: string): Promise<string> {
  if (name === SUPERVISOR) await requireCluster(folder);
  else await requirePart(folder, name);
  return join(folder, 'logs', `${name}.log`);
}

/** With what a command sees the cluster as a part does: programs on its PATH, the part's settings, and where the others are. */
export async function requirePartEnvironment(folder: string, name: string, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const { record } = await requirePart(folder, name);
  const services = await wantedServices(folder, record.wanted);
  const parts = placeParts(resolve(folder), record.wanted, services);
  const { found, missing } = await findPrograms(services, env);
  const part = parts.find((each) => each.name === name);
  const program = found.get(name);
  if (!part || !program) throw new PermanentError('MissingPrograms', `${name}: ${missing.map(({ install }) => install).join('; ')}`);
  return { ...env, ...partEnvironment(part, { ...whereabouts(resolve(folder), record.wanted, parts), program, env }) };
}

/** Lets the supervisor start a part that was held. */
export async function startPart(folder: string, name: string): Promise<void> {
  await requirePart(folder, name);
  await letPartGo(folder, name);
}

/**
 * What a client or a worker needs to use the cluster. Temporal's own tools take one address of Temporal: that of a proxy which answers now.
 */
export async function clusterEnvironment(folder: string, record: ClusterRecord): Promise<Record<string, string>> {
  const { SLUICE_DB_PASSWORD } = await clusterSecrets(folder);
  const address = (name: string) => record.parts[name]?.address ?? '127.0.0.1';
  const proxies = ['haproxy1', 'haproxy2'].map(address);
  const hosts = proxies.map((host) => `${host}:5432`).join(',');
  const answers = await Promise.all(proxies.map((host) => isHealthy(host, { port: 8404, path: '/health' })));
  return {
    TEMPORAL_ADDRESS: `${proxies[Math.max(answers.indexOf(true), 0)]}:7233`,
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_UI_URL: `http://${address('temporal-ui')}:8080`,
    SLUICE_DATABASE_URL: `postgres://etl:${SLUICE_DB_PASSWORD}@${hosts}/sluice`,
  };
}
