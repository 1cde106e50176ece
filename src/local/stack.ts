import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describeError, PermanentError, SluiceError } from '../errors.ts';
import { withFolderLock } from './folder-lock.ts';
import { stopPostgresServer } from './postgres-server.ts';
import { endProcess, identify, isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { readStack, type StackRecord, writeStack } from './stack-file.ts';
import {
  describeDatabase,
  describeTemporal,
  type Providing,
  places,
  provideDatabase,
  provideTemporal,
  type StackDatabase,
  type StackTemporal,
} from './stack-parts.ts';
import { configuredTemporal } from './temporal-address.ts';
import { stopTemporalServer } from './temporal-server.ts';

export interface StackOptions {
  /** Everything the stack keeps: data, logs, password, what runs. @default '.sluice' */
  readonly stateDir?: string;
  /** Told in whole sentences what is happening. */
  readonly onProgress?: (message: string) => void;
  /** `TEMPORAL_ADDRESS` (or a Temporal profile) and `SLUICE_DATABASE_URL` are used instead of servers of our own. @default process.env */
  readonly env?: NodeJS.ProcessEnv;
  /** Gives up starting, and stops what was started. */
  readonly signal?: AbortSignal;
  /** Settings of postgresql.conf, on top of Sluice's own. */
  readonly postgresSettings?: Readonly<Record<string, string>>;
}

/** Worker processes that the stack stops before its servers; `WorkerPool` is one. */
export interface StackWorkers {
  readonly pids: () => number[];
  /** Calls the listener when `pids()` has changed. */
  readonly onChange: (listener: () => void) => void;
  readonly stop: () => Promise<void>;
}

/** The first asks for a graceful stop, which gives workers 30 s for what they have in hand; the second ends them. */
const SUPERVISOR_ENDS = [
  { signal: 'SIGTERM', waitMs: 45_000 },
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 10_000 },
] as const;

/** Temporal and a database, ready to use. */
export interface Stack {
  readonly stateDir: string;
  /** Folder of the logs. */
  readonly logs: string;
  readonly temporal: StackTemporal;
  readonly database: StackDatabase;
  /** For workers and clients: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `SLUICE_DATABASE_URL`. */
  readonly env: Record<string, string>;
  /** Makes workers part of the stack: stopped first by `stop()`, and by the next start where this process was killed. */
  readonly use: (workers: StackWorkers) => void;
  /** Stops the workers and leaves the servers up after this process has ended; `stopStack` or a reboot ends them. */
  readonly keep: () => Promise<void>;
  /** Stops what this process is responsible for, by process id: workers, Temporal, database. May be called twice. */
  readonly stop: () => Promise<void>;
}

/** What of a folder's stack runs. */
export interface FoundStack {
  readonly temporal: StackTemporal | null;
  readonly database: StackDatabase | null;
  /** As in {@link Stack}, as far as known. */
  readonly env: Record<string, string>;
}

/**
 * Starts Temporal and PostgreSQL on this machine, both at once, and waits until they answer. What runs already in the folder is used:
 * a stack that another process has up is attached to; servers that outlived a killed process are taken over, and its
 * workers stopped. What the environment names is used as it is.
 *
 * Data and history are in files: after a SIGKILL of everything, the next start goes on.
 *
 * @throws SluiceError of the part that could not be started; nothing is left running.
 *
 * @example
 * const stack = await startStack({ onProgress: console.error });
 * try {
 *   spawn(process.execPath, ['dist/workers/worker.js'], { env: { ...process.env, ...stack.env } });
 * } finally {
 *   await stack.stop();
 * }
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { env = process.env, onProgress, signal } = options;
  const stateDir = await makeStateFolder(options.stateDir ?? '.sluice');
  const locked = <T>(work: () => Promise<T>) =>
    withFolderLock(stateDir, work, {
      signal,
      onWait: (holder) => onProgress?.(`Waiting for ${holder}, which is starting or stopping the stack in ${stateDir}.`),
    });
  const unrefs: (() => void)[] = [];

  const { temporal, database } = await locked(async () => {
    const record = await readStack(stateDir);
    await stopOrphans(record, onProgress);
    const save = saver(stateDir, record);
    const [temporalStart, databaseStart] = await Promise.allSettled([
      provideTemporal({ stateDir, env, record, save, onProgress, signal, unrefs }),
      provideDatabase({ stateDir, env, record, save, onProgress, signal, unrefs, settings: options.postgresSettings }),
    ]);
    if (temporalStart.status === 'fulfilled' && databaseStart.status === 'fulfilled') {
      await save();
      return { temporal: temporalStart.value, database: databaseStart.value };
    }
    await stopParts(record, { temporal: startedHere(temporalStart), database: startedHere(databaseStart) });
    await save();
    signal?.throwIfAborted();
    throw failureOf([temporalStart, databaseStart]);
  });

  const workers: StackWorkers[] = [];
  let recording: Promise<void> = Promise.resolve();
  const recordWorkers = () => {
    const write = () => withFolderLock(stateDir, () => replaceWorkers(stateDir, workers));
    recording = recording.then(write, write);
    recording.catch((error) => onProgress?.(`The workers could not be noted in ${stateDir}: ${describeError(error)}`));
  };
  const stopWorkers = async () => {
    await Promise.all(workers.map((each) => each.stop()));
    await recording.catch(() => {});
  };
  let ending: Promise<void> | null = null;
  const end = (servers: (record: StackRecord) => Promise<void>) => {
    ending ??= (async () => {
      await stopWorkers();
      await withFolderLock(stateDir, async () => {
        const record = await readStack(stateDir);
        record.workers = record.workers.filter((each) => isAlive(each.process));
        await servers(record);
        await writeStack(stateDir, record);
      });
    })();
    return ending;
  };

  return {
    stateDir,
    logs: places(stateDir).logs,
    temporal,
    database,
    env: environment(temporal, database),
    use: (added) => {
      workers.push(added);
      added.onChange(recordWorkers);
      recordWorkers();
    },
    keep: () =>
      end(async (record) => {
        if (temporal.started && record.temporal) record.temporal.owner = null;
        if (database.started && record.database) record.database.owner = null;
        for (const unref of unrefs) unref();
      }),
    stop: () => end((record) => stopParts(record, { temporal: temporal.started, database: database.started })),
  };
}

/** The stack that runs in a folder, with what the environment names; null where nothing does. Starts and changes nothing. */
export async function findStack(stateDir = '.sluice', env: NodeJS.ProcessEnv = process.env): Promise<FoundStack | null> {
  const record = await readStack(resolve(stateDir));
  const named = configuredTemporal(env);
  let temporal: StackTemporal | null = null;
  if (named) temporal = { ...named, uiUrl: null, started: false, process: null };
  else if (record.temporal && isAlive(record.temporal.process)) temporal = describeTemporal(record.temporal, false);
  let database: StackDatabase | null = null;
  if (env.SLUICE_DATABASE_URL) database = { url: env.SLUICE_DATABASE_URL, started: false, process: null };
  else if (record.database && isAlive(record.database.process)) database = describeDatabase(record.database, false);
  return temporal || database ? { temporal, database, env: environment(temporal, database) } : null;
}

/**
 * Stops everything that runs in a folder, whoever started it: who supervises workers there, workers, Temporal, database. Returns whether
 * there was anything.
 */
export async function stopStack(stateDir = '.sluice'): Promise<boolean> {
  const folder = resolve(stateDir);
  if (!(await stat(folder).catch(() => null))) return false;
  const supervised = await stopSupervisors(folder);
  return withFolderLock(folder, async () => {
    const record = await readStack(folder);
    const running = [record.temporal?.process, record.database?.process, ...record.workers.map((each) => each.process)];
    const any = supervised || running.some((each) => each && isAlive(each));
    await Promise.all(record.workers.map((each) => endWorker(each.process)));
    if (record.temporal) await stopTemporalServer(record.temporal.process);
    if (record.database) await stopPostgresServer(record.database.process);
    await writeStack(folder, { workers: [] });
    return any;
  });
}

/**
 * Ends the other processes that have workers here, as Ctrl-C does: otherwise they would start a worker anew for each that is stopped. They
 * take the folder's lock for it, so it is not held here. Returns whether there were any.
 */
async function stopSupervisors(folder: string): Promise<boolean> {
  const { workers } = await readStack(folder);
  const self = ownIdentity();
  const owners = new Map(workers.filter(({ owner }) => owner.pid !== self.pid && isAlive(owner)).map(({ owner }) => [owner.pid, owner]));
  await Promise.all([...owners.values()].map((owner) => endProcess(owner, SUPERVISOR_ENDS)));
  return owners.size > 0;
}

/** Workers whose parent was killed end by themselves soon; they are not waited for, but ended. */
async function stopOrphans(record: StackRecord, onProgress: Providing['onProgress']): Promise<void> {
  const orphans = record.workers.filter((each) => isAlive(each.process) && !isAlive(each.owner));
  if (orphans.length > 0) onProgress?.(`Stopping ${orphans.length === 1 ? 'a worker' : `${orphans.length} workers`} of an earlier start.`);
  await Promise.all(orphans.map((each) => endWorker(each.process)));
  record.workers = record.workers.filter((each) => isAlive(each.process));
}

async function endWorker(worker: ProcessIdentity): Promise<void> {
  await endProcess(worker, [
    { signal: 'SIGTERM', waitMs: 10_000 },
    { signal: 'SIGKILL', waitMs: 10_000 },
  ]);
}

/** Stops those servers that we are responsible for, and takes them out of the record. */
async function stopParts(record: StackRecord, ours: { temporal: boolean; database: boolean }): Promise<void> {
  const self = ownIdentity();
  const owned = (owner: ProcessIdentity | null | undefined) => owner?.pid === self.pid && owner.started === self.started;
  if (ours.temporal && record.temporal && owned(record.temporal.owner)) {
    await stopTemporalServer(record.temporal.process);
    delete record.temporal;
  }
  if (ours.database && record.database && owned(record.database.owner)) {
    await stopPostgresServer(record.database.process);
    delete record.database;
  }
}

function startedHere(start: PromiseSettledResult<{ started: boolean }>): boolean {
  return start.status === 'fulfilled' && start.value.started;
}

async function replaceWorkers(stateDir: string, workers: readonly StackWorkers[]): Promise<void> {
  const owner = ownIdentity();
  const record = await readStack(stateDir);
  const others = record.workers.filter((each) => isAlive(each.process) && each.owner.pid !== owner.pid);
  const ours = workers.flatMap((each) => each.pids()).flatMap((pid) => identify(pid) ?? []);
  await writeStack(stateDir, { ...record, workers: [...others, ...ours.map((each) => ({ process: each, owner }))] });
}

/** Both parts start at once and write the same files, so one after the other. */
function saver(stateDir: string, record: StackRecord): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => writeStack(stateDir, record));
    return last;
  };
}

async function makeStateFolder(wanted: string): Promise<string> {
  const folder = resolve(wanted);
  if (!(await stat(folder).catch(() => null))) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755); // the user of PostgreSQL passes through; what is secret in it is 0600
  }
  return realpath(folder);
}

function failureOf(starts: readonly PromiseSettledResult<unknown>[]): Error {
  const reasons = starts.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  const [first] = reasons;
  if (reasons.length === 1 && first instanceof SluiceError) return first;
  return new PermanentError('StackFailed', reasons.map(describeError).join('\n'), { cause: first });
}

function environment(temporal: StackTemporal | null, database: StackDatabase | null): Record<string, string> {
  return {
    ...(temporal && { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace }),
    ...(database && { SLUICE_DATABASE_URL: database.url }),
  };
}
