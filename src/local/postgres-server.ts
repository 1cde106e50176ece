import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { chooseFreePort } from './free-port.ts';
import { lastLines } from './log-file.ts';
import { choosePostgresAccount, underAccount } from './postgres-account.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { clearAfterCrash, dataFolderIn, initialiseData, postgresPassword, postgresUser } from './postgres-data.ts';
import { endProcess, type ProcessIdentity } from './process-identity.ts';
import { describeEnd, type ProcessEnd, type SpawnedServer, spawnServer } from './server-process.ts';

export interface PostgresServerOptions {
  /** Holds the data (`data/`) and the password (`password`, mode 0600); made where it does not exist. */
  readonly folder: string;
  /** Output is appended here. @default `FOLDER/postgres.log` */
  readonly logFile?: string;
  /** Any free one where left out. */
  readonly port?: number;
  /** Created where it does not exist. @default 'sluice' */
  readonly database?: string;
  /** Settings of postgresql.conf, on top of Sluice's own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How long a start may take, recovery included, in milliseconds. @default 120000 */
  readonly startTimeoutMs?: number;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** The programs to use. @default those of the npm package */
  readonly binaries?: PostgresBinaries;
}

/**
 * How to stop: `fast` ends the sessions and writes a checkpoint; `immediate` ends without one, as a crash would: the next start
 * recovers, and UNLOGGED tables are empty.
 */
export type StopMode = 'fast' | 'immediate';

/** A PostgreSQL server on this machine. */
export interface PostgresServer {
  /** With user and password. */
  readonly url: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly process: ProcessIdentity;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<ProcessEnd>;
  /** @param mode - `fast` where left out. */
  readonly stop: (mode?: StopMode) => Promise<void>;
  /** SIGKILL, for tests of what happens then. */
  readonly kill: () => Promise<void>;
  /** Stops it, unless it is down already, and starts it on the same port and data. */
  readonly restart: (mode?: StopMode) => Promise<PostgresServer>;
  /** Lets this process end while the server goes on. */
  readonly unref: () => void;
}

const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/**
 * Starts a real PostgreSQL 18 from npm on the loopback address: initialises its data where there is none, recovers it after a crash, and waits
 * until it answers. Works as root too, as the user `postgres`.
 *
 * Two at once on one folder have to be kept apart by the caller (the stack does it with its folder's lock).
 *
 * @throws PermanentError `PostgresFailed` when it ends while starting, with the last lines of its log; and those of
 * {@link choosePostgresAccount}, {@link findPostgresBinaries}, {@link postgresPassword} and {@link initialiseData}.
 *
 * @example
 * const server = await startPostgresServer({ folder: '.sluice/postgres' });
 * await server.stop('immediate');
 * const again = await startPostgresServer({ folder: '.sluice/postgres', port: server.port });
 */
export async function startPostgresServer(options: PostgresServerOptions): Promise<PostgresServer> {
  const { folder, database = 'sluice', startTimeoutMs = 120_000, logFile = join(folder, 'postgres.log') } = options;
  const binaries = options.binaries ?? (await findPostgresBinaries());
  const dataFolder = dataFolderIn(folder);
  await makeFolder(folder);
  const account = await choosePostgresAccount([binaries.postgres, folder], dataFolder, options.onProgress);
  const password = await postgresPassword(folder);
  await initialiseData(folder, binaries, account, password);
  await clearAfterCrash(dataFolder);
  options.signal?.throwIfAborted();

  const port = options.port ?? (await chooseFreePort());
  const flags = Object.entries({ ...settings, ...options.settings, port: String(port) }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const { command, args, ids } = underAccount(account, binaries.postgres, ['-D', dataFolder, ...flags]);
  const spawned = await spawnServer({
    name: 'PostgreSQL',
    command,
    args,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    logFile,
    ...ids,
  });

  const urlOf = (name: string) =>
    `postgresql://${postgresUser}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(name)}`;
  try {
    await untilDatabaseAnswers(urlOf('postgres'), startTimeoutMs, async () => {
      options.signal?.throwIfAborted();
      await throwIfEnded(spawned, logFile);
    });
    await createDatabase(urlOf('postgres'), database);
  } catch (error) {
    await stopPostgresServer(spawned.process, 'immediate');
    throw error;
  }
  const { process: server } = spawned;
  return {
    url: urlOf(database),
    port,
    dataFolder,
    process: server,
    exited: spawned.exited,
    stop: (mode) => stopPostgresServer(server, mode),
    kill: () => killPostgresServer(server),
    restart: async (mode) => {
      await stopPostgresServer(server, mode);
      return startPostgresServer({ ...options, port });
    },
    unref: spawned.unref,
  };
}

/** Stops a PostgreSQL server; one that does not end within a minute is stopped harder. Nothing committed is lost either way. */
export async function stopPostgresServer(server: ProcessIdentity, mode: StopMode = 'fast'): Promise<void> {
  await endProcess(server, [
    ...(mode === 'fast' ? [{ signal: 'SIGINT', waitMs: 60_000 } as const] : []),
    { signal: 'SIGQUIT', waitMs: 15_000 },
    { signal: 'SIGKILL', waitMs: 10_000 },
  ]);
}

async function killPostgresServer(server: ProcessIdentity): Promise<void> {
  await endProcess(server, [{ signal: 'SIGKILL', waitMs: 10_000 }]);
}

/**
 * Waits until a database answers a query.
 *
 * @param eachTime - called before every try; what it throws ends the waiting.
 * @throws TransientError `DatabaseNotReady` when it does not within `timeoutMs`; PermanentError `WrongPassword`.
 */
export async function untilDatabaseAnswers(url: string, timeoutMs: number, eachTime?: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const { host } = new URL(url);
  for (;;) {
    await eachTime?.();
    try {
      return await withClient(url, async (client) => {
        await client.query('SELECT 1');
      });
    } catch (error) {
      if ((error as { code?: string }).code === '28P01') {
        throw new PermanentError(
          'WrongPassword',
          `the database at ${host} refuses the password that Sluice has for it. Is it another server than the embedded one?`,
          {
            cause: error,
          },
        );
      }
      if (Date.now() >= deadline) {
        throw new TransientError(
          'DatabaseNotReady',
          `the database at ${host} does not answer after ${Math.round(timeoutMs / 1000)} s: ${describeError(error)}.`,
          {
            cause: error,
          },
        );
      }
    }
    await delay(30);
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (!rowCount) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  });
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: 'sluice start' });
  client.on('error', () => {}); // the server may go away between two queries; the query says so
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

async function throwIfEnded(server: SpawnedServer, logFile: string): Promise<void> {
  const end = server.ended();
  if (!end) return;
  const log = await lastLines(logFile, 8, server.logStart);
  throw new PermanentError('PostgresFailed', `PostgreSQL ${describeEnd(end)} while starting. Its log (${logFile}) ends:\n${log}`);
}

/** The user of PostgreSQL has to pass through the folders that are made here, whatever the umask. */
async function makeFolder(folder: string): Promise<void> {
  const isThere = await stat(folder).catch(() => null);
  if (isThere) return;
  await makeFolder(dirname(folder));
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
}
