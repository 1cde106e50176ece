/**
 * The one DuckDB of this process. It is in memory, small, and runs on its own threads, so that heartbeats go on while it works.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBDataChunk, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { explainDuckDBError } from './errors.ts';

/** For all queries together; sorts of more go to disk (https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads). */
const MEMORY_LIMIT = '128MB';
/** Each query runs on one thread. Partitions are read side by side, and a second thread for each took more memory and no less time. */
const THREADS = 1;
/** Of this machine's processes: containers may share the folder and have the same process ids. */
const FOLDER_PREFIX = `sluice-duckdb-${hostname()}-`;

interface Process {
  readonly instance: DuckDBInstance;
  readonly folder: string;
}

let started: Promise<Process> | undefined;

async function duckdb(): Promise<Process> {
  started ??= start().catch((error) => {
    started = undefined;
    throw error;
  });
  return await started;
}

async function start(): Promise<Process> {
  removeFoldersOfDeadProcesses();
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Loaded only here: its library takes 30 MB in workers that read no Parquet.
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: MEMORY_LIMIT,
    threads: String(THREADS),
    // What was freed goes back to the system early.
    allocator_flush_threshold: '4MB',
    allocator_bulk_deallocation_flush_threshold: '4MB',
    temp_directory: join(folder, 'spill'),
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  // Dates and times mean UTC everywhere. Not accepted as an option at the start: it belongs to the extension icu.
  await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
  connection.closeSync();
  return { instance, folder };
}

/** A worker that was killed could not remove its folder. */
function removeFoldersOfDeadProcesses(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    const pid = Number(name.slice(FOLDER_PREFIX.length).split('-')[0]);
    if (Number.isInteger(pid) && pid > 0 && !isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

let files = 0;

/** A path in this process' own folder at which nothing is yet. */
export async function temporaryFile(extension: string): Promise<string> {
  return join((await duckdb()).folder, `${++files}.${extension}`);
}

/** Files that a query reads, for the message of its errors, and what interrupts it. */
export interface QueryContext {
  readonly files: readonly string[];
  readonly signal: AbortSignal | null;
}

/**
 * Lends a connection. A query that runs when the signal is aborted is interrupted, and fails with the signal's reason.
 */
export async function withDuckDB<T>(context: QueryContext, work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  context.signal?.throwIfAborted();
  const connection = await (await duckdb()).instance.connect();
  const interrupt = () => connection.interrupt();
  context.signal?.addEventListener('abort', interrupt);
  try {
    const result = await work(connection);
    context.signal?.throwIfAborted();
    return result;
  } catch (error) {
    throw explainDuckDBError(error, context.files, context.signal);
  } finally {
    context.signal?.removeEventListener('abort', interrupt);
    connection.closeSync();
  }
}

/** All rows of a small result. */
export async function queryRows(context: QueryContext, sql: string): Promise<Record<string, DuckDBValue>[]> {
  return await withDuckDB(context, async (connection) => (await connection.runAndReadAll(sql)).getRowObjects());
}

/** A large result in pieces of about 2,048 rows, made while they are read. */
export async function* streamChunks(context: QueryContext, sql: string): AsyncGenerator<DuckDBDataChunk> {
  context.signal?.throwIfAborted();
  const connection = await (await duckdb()).instance.connect();
  const interrupt = () => connection.interrupt();
  context.signal?.addEventListener('abort', interrupt);
  try {
    const result = await connection.stream(sql);
    for (;;) {
      const chunk = await result.fetchChunk();
      context.signal?.throwIfAborted();
      if (!chunk || chunk.rowCount === 0) return;
      yield chunk;
    }
  } catch (error) {
    throw explainDuckDBError(error, context.files, context.signal);
  } finally {
    context.signal?.removeEventListener('abort', interrupt);
    connection.closeSync();
  }
}

let turn: Promise<unknown> = Promise.resolve();

/** One after the other: each of these holds a row group of its file, unpacked. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work, work);
  turn = mine.catch(() => {});
  return await mine;
}
