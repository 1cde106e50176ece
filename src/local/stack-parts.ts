/** One part of a stack: what is named is used, what runs in the folder is taken over, else it is started. */
import { join } from 'node:path';
import { describeError, PermanentError } from '../errors.ts';
import { chooseFreePort } from './free-port.ts';
import { dataFolderIn } from './postgres-data.ts';
import { startPostgresServer, stopPostgresServer, untilDatabaseAnswers } from './postgres-server.ts';
import { findByArgument, isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import { readPorts, type StackRecord, writePorts } from './stack-file.ts';
import { configuredTemporal } from './temporal-address.ts';
import { findTemporalBinary } from './temporal-binary.ts';
import { startTemporalServer, stopTemporalServer, untilNamespaceAnswers } from './temporal-server.ts';

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

/** Where each part keeps its files, inside of the state folder. */
export function places(stateDir: string) {
  const logs = join(stateDir, 'logs');
  return { logs, temporalDb: join(stateDir, 'temporal', 'temporal.db'), postgres: join(stateDir, 'postgres') };
}

export interface Providing {
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

export async function provideTemporal(context: Providing): Promise<StackTemporal> {
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

export async function provideDatabase(context: Providing & Pick<PostgresSettings, 'settings'>): Promise<StackDatabase> {
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

export interface PostgresSettings {
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

/** A free port may be gone when the server wants it: then once more, with others. */
async function withFreshPorts<T>(start: (fresh: boolean) => Promise<T>): Promise<T> {
  try {
    return await start(false);
  } catch (error) {
    if (!/address already in use|could not bind|can't set .* port/i.test(describeError(error))) throw error;
    return start(true);
  }
}

let portsWritten: Promise<void> = Promise.resolve();

function savePorts(stateDir: string, ports: Parameters<typeof writePorts>[1]): Promise<void> {
  portsWritten = portsWritten.catch(() => {}).then(async () => writePorts(stateDir, { ...(await readPorts(stateDir)), ...ports }));
  return portsWritten;
}

export function describeTemporal(part: NonNullable<StackRecord['temporal']>, started: boolean): StackTemporal {
  return { address: part.address, namespace: part.namespace, uiUrl: part.uiUrl, started, process: part.process };
}

export function describeDatabase(part: NonNullable<StackRecord['database']>, started: boolean): StackDatabase {
  return { url: part.url, started, process: part.process };
}
