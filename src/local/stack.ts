import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describeError, PermanentError, SluiceError } from '../errors.ts';
import { withFolderLock } from './folder-lock.ts';
import { chooseFreePort } from './free-port.ts';
import { dataFolderIn } from './postgres-data.ts';
import { startPostgresServer, stopPostgresServer, untilDatabaseAnswers } from './postgres-server.ts';
import { endProcess, findByArgument, identify, isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { readPorts, readStack, type StackRecord, writePorts, writeStack } from './stack-file.ts';
import { configuredTemporal } from './temporal-address.ts';
import { findTemporalBinary } from './temporal-binary.ts';
import { startTemporalServer, stopTemporalServer, untilNamespaceAnswers } from './temporal-server.ts';

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

/** The Temporal service of a stack. */
export interface StackTemporal {
  readonly address: string;
  readonly namespace: string;
  /** Null where the service is the user's own. */
  readonly uiUrl: string | null;
  /** `stop()` of this stack ends it. */
  readonly started: boolean;
  /** Null where it is not a process of this folder. */
  readonly process: ProcessIdentity | null;
}

/** The database of a stack. */
export interface StackDatabase {
  /** With user and password. */
  readonly url: string;
  /** `stop()` of this stack ends it. */
  readonly started: boolean;
  /** Null where it is not a process of this folder. */
  readonly process: ProcessIdentity | null;
}

/** Worker processes that the stack stops before its servers; `WorkerPool` is one. */
export interface StackWorkers {
  readonly pids: () => number[];
  /** Calls the listener when `pids()` has changed. */
  readonly onChange: (listener: () => void) => void;
  readonly stop: () => Promise<void>;
}

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

/** Where each part keeps its files, inside of the state folder. */
function places(stateDir: string) {
  const logs = join(stateDir, 'logs');
  return { logs, temporalDb: join(stateDir, 'temporal', 'temporal.db'), postgres: join(stateDir, 'postgres') };
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

/** Stops everything that runs in a folder, whoever started it: workers, Temporal, database. Returns whether there was anything. */
export async function stopStack(stateDir = '.sluice'): Promise<boolean> {
  const folder = resolve(stateDir);
  if (!(await stat(folder).catch(() => null))) return false;
  return withFolderLock(folder, async () => {
    const record = await readStack(folder);
    const running = [record.temporal?.process, record.database?.process, ...record.workers.map((each) => each.process)];
    const any = running.some((each) => each && isAlive(each));
    await Promise.all(record.workers.map((each) => endWorker(each.process)));
    if (record.temporal) await stopTemporalServer(record.temporal.process);
    if (record.database) await stopPostgresServer(record.database.process);
    await writeStack(folder, { workers: [] });
    return any;
  });
}

interface Providing {
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Changed in place, and written with `save`. */
  readonly record: StackRecord;
  readonly save: () => Promise<void>;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Collects how to let the started servers go. */
  readonly unrefs: (() => void)[];
}

async function provideTemporal(context: Providing): Promise<StackTemporal> {
  const { stateDir, env, record, save, onProgress, signal } = context;
  const named = configuredTemporal(env);
  if (named) return { ...named, uiUrl: null, started: false, process: null };
  if (record.temporal) {
    const { address, namespace } = record.temporal;
    const started = await takeOver(
      record.temporal,
      'Temporal server',
      onProgress,
      () => untilNamespaceAnswers(address, namespace, 15_000),
      stopTemporalServer,
    );
    if (started !== null) return describeTemporal(record.temporal, started);
    delete record.temporal;
  }
  const { temporalDb, logs } = places(stateDir);
  for (const stray of findByArgument('temporal', temporalDb)) await stopTemporalServer(stray);
  const { path } = await findTemporalBinary({ env, onProgress, signal });
  const server = await withFreshPorts(async (fresh) => {
    const last = fresh ? undefined : (await readPorts(stateDir)).temporal;
    const port = await chooseFreePort(fresh ? [] : [last?.port, 7233]);
    const uiPort = await chooseFreePort(fresh ? [] : [last?.uiPort, 8233]);
    const metricsPort = await chooseFreePort([last?.metricsPort]);
    return startTemporalServer({
      binary: path,
      logFile: join(logs, 'temporal.log'),
      dbFile: temporalDb,
      namespace: env.TEMPORAL_NAMESPACE || 'default',
      ports: { port, uiPort, metricsPort },
      env,
      signal,
    });
  });
  const { address, namespace, uiUrl, metricsUrl } = server;
  record.temporal = { process: server.process, owner: ownIdentity(), address, namespace, uiUrl, metricsUrl };
  context.unrefs.push(server.unref);
  await save();
  await savePorts(stateDir, { temporal: server.ports });
  return describeTemporal(record.temporal, true);
}

async function provideDatabase(context: Providing & Pick<PostgresSettings, 'settings'>): Promise<StackDatabase> {
  const { stateDir, env, record, save, onProgress, signal } = context;
  if (env.SLUICE_DATABASE_URL) return { url: env.SLUICE_DATABASE_URL, started: false, process: null };
  if (record.database) {
    const { url } = record.database;
    const started = await takeOver(record.database, 'PostgreSQL', onProgress, () => untilDatabaseAnswers(url, 60_000), stopPostgresServer);
    if (started !== null) return describeDatabase(record.database, started);
    delete record.database;
  }
  const { postgres, logs } = places(stateDir);
  for (const stray of findByArgument('postgres', dataFolderIn(postgres))) await stopPostgresServer(stray);
  const server = await withFreshPorts(async (fresh) => {
    const port = await chooseFreePort(fresh ? [] : [(await readPorts(stateDir)).postgres]);
    return startPostgresServer({
      folder: postgres,
      logFile: join(logs, 'postgres.log'),
      port,
      settings: context.settings,
      onProgress,
      signal,
    });
  });
  record.database = { process: server.process, owner: ownIdentity(), url: server.url };
  context.unrefs.push(server.unref);
  await save();
  await savePorts(stateDir, { postgres: server.port });
  return describeDatabase(record.database, true);
}

interface PostgresSettings {
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Whether a recorded server can be used: true when it is ours to stop now, false when it belongs to another process or was
 * left up on purpose, null when there is none and one has to be started.
 */
async function takeOver(
  part: { process: ProcessIdentity; owner: ProcessIdentity | null },
  name: string,
  onProgress: Providing['onProgress'],
  untilAnswers: () => Promise<void>,
  stop: (server: ProcessIdentity) => Promise<void>,
): Promise<boolean | null> {
  if (!isAlive(part.process)) return null;
  const orphaned = part.owner !== null && !isAlive(part.owner);
  try {
    await untilAnswers();
  } catch (error) {
    if (!orphaned) {
      const { pid } = part.process;
      throw new PermanentError(
        'NotAnswering',
        `the ${name} that runs in this folder (process ${pid}) does not answer: ${describeError(error)} Stop it (kill ${pid}), and start again.`,
      );
    }
    await stop(part.process);
    return null;
  }
  if (orphaned) {
    onProgress?.(`The ${name} of an earlier start still runs (process ${part.process.pid}); using it.`);
    part.owner = ownIdentity();
  }
  return orphaned;
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

/** A free port may be gone when the server wants it: then once more, with others. */
async function withFreshPorts<T>(start: (fresh: boolean) => Promise<T>): Promise<T> {
  try {
    return await start(false);
  } catch (error) {
    if (!/address already in use|could not bind|can't set .* port/i.test(describeError(error))) throw error;
    return start(true);
  }
}

/** Both parts start at once and write the same files, so one after the other. */
function saver(stateDir: string, record: StackRecord): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => writeStack(stateDir, record));
    return last;
  };
}

let portsWritten: Promise<void> = Promise.resolve();

function savePorts(stateDir: string, ports: Parameters<typeof writePorts>[1]): Promise<void> {
  portsWritten = portsWritten.catch(() => {}).then(async () => writePorts(stateDir, { ...(await readPorts(stateDir)), ...ports }));
  return portsWritten;
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

function describeTemporal(part: NonNullable<StackRecord['temporal']>, started: boolean): StackTemporal {
  return { address: part.address, namespace: part.namespace, uiUrl: part.uiUrl, started, process: part.process };
}

function describeDatabase(part: NonNullable<StackRecord['database']>, started: boolean): StackDatabase {
  return { url: part.url, started, process: part.process };
}

function environment(temporal: StackTemporal | null, database: StackDatabase | null): Record<string, string> {
  return {
    ...(temporal && { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace }),
    ...(database && { SLUICE_DATABASE_URL: database.url }),
  };
}
