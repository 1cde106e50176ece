/** A real PostgreSQL for the tests of the source, with what they all need. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { PostgresSourceOptions } from '../../../src/connectors/postgres/config.ts';
import { createPostgresSource } from '../../../src/connectors/postgres/source.ts';
import type {
  CopyChunk,
  CursorWindow,
  Partitioning,
  PlannedPartition,
  RejectedRow,
  Source,
  SourceRecord,
} from '../../../src/connectors/source.ts';
import type { Json } from '../../../src/contracts/run.ts';
import type { PostgresBinaries } from '../../../src/local/postgres-binaries.ts';
import { type PostgresServer, startPostgresServer } from '../../../src/local/postgres-server.ts';
import type { ColumnType } from '../../../src/validation/row-schema.ts';

export const never = new AbortController().signal;

export interface SourceServer {
  readonly url: string;
  sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** A connection of its own, for transactions that stay open. */
  connect(url?: string): Promise<pg.Client>;
  /** The URL of another role. */
  urlOf(role: string, password: string): string;
  source(options: PostgresSourceOptions): Source;
  /** Closes all sources and fails where one left a connection behind. */
  requireNoLeaks(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSourceServer(
  settings: Readonly<Record<string, string>> = {},
  binaries?: PostgresBinaries,
): Promise<SourceServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-source-'));
  await chmod(folder, 0o755);
  const server: PostgresServer = await startPostgresServer({
    folder,
    settings: { fsync: 'off', ...settings },
    ...(binaries ? { binaries } : {}),
  });
  const pool = new pg.Pool({ connectionString: server.url, max: 4, application_name: 'test' });
  pool.on('error', () => {});
  let sources: Source[] = [];
  const clients: pg.Client[] = [];
  return {
    url: server.url,
    async sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]) {
      return (await pool.query<Row>(text, values)).rows;
    },
    async connect(url = server.url) {
      const client = new pg.Client({ connectionString: url, application_name: 'test' });
      client.on('error', () => {});
      clients.push(client);
      await client.connect();
      return client;
    },
    urlOf(role, password) {
      const url = new URL(server.url);
      url.username = role;
      url.password = password;
      return url.href;
    },
    source(options) {
      const source = createPostgresSource({ kind: 'postgres', url: server.url, ...options });
      sources.push(source);
      return source;
    },
    async requireNoLeaks() {
      const open = sources;
      sources = [];
      const closed = Promise.all(open.map((source) => source.close())).then(() => true);
      if (!(await Promise.race([closed, delay(5_000, false, { ref: false })])))
        throw new Error('a source does not close: it leaked a connection');
      for (const deadline = Date.now() + 5_000; ; await delay(20)) {
        const { rows } = await pool.query<{ left: string }>(
          `select count(*) as left from pg_stat_activity where application_name = 'sluice'`,
        );
        if (rows[0]?.left === '0') return;
        if (Date.now() > deadline) throw new Error(`${rows[0]?.left} connections of the source are still open`);
      }
    },
    async stop() {
      await Promise.all(sources.map((source) => source.close()));
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
      await pool.end();
      await server.stop('immediate');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface ReadOptions {
  readonly columns: readonly { readonly name: string; readonly sqlType: string }[];
  readonly partitioning?: Partitioning;
  readonly window?: CursorWindow | null;
  readonly schema?: readonly ColumnType[];
  readonly maxRows?: number;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
  /** Runs between two chunks. */
  readonly between?: (chunk: number) => Promise<void>;
}

const requestOf = ({ window = null, maxRows = 1_000_000, maxBytes = 1e9, signal = never }: ReadOptions) => ({
  window,
  maxRows,
  maxBytes,
  signal,
});

export async function plan(source: Source, options: ReadOptions): Promise<PlannedPartition[]> {
  const { partitioning = { by: 'none' }, columns, window = null } = options;
  const partitions: PlannedPartition[] = [];
  for await (const each of source.plan({ partitioning, columns: columns.map(({ name }) => name), window, signal: never }))
    partitions.push(each);
  return partitions;
}

export interface ReadResult {
  readonly chunks: number;
  readonly rows: number;
  readonly rejected: readonly RejectedRow[];
}

/** Reads all partitions chunk by chunk; a chunk's bytes go to `take`. Positions go through JSON, as in the ledger. */
export async function readCopies(
  source: Source,
  transfer: 'binary' | 'text',
  options: ReadOptions,
  take: (chunk: CopyChunk) => Promise<void>,
): Promise<ReadResult> {
  let chunks = 0;
  let rows = 0;
  const rejected: RejectedRow[] = [];
  for (const partition of await plan(source, options)) {
    let position: Json = null;
    for (;;) {
      const { columns, schema = [] } = options;
      const chunk = await source.readCopy?.({ ...requestOf(options), partition, columns, schema, transfer, position });
      if (!chunk) throw new Error('the source does not copy');
      await take(chunk);
      const end = chunk.end();
      chunks++;
      rows += end.rowsRead ?? 0;
      rejected.push(...end.rejected);
      if (end.last) break;
      position = JSON.parse(JSON.stringify(end.position)) as Json;
      await options.between?.(chunks);
    }
  }
  return { chunks, rows, rejected };
}

/** Copies into a table, as the target does. */
export function copyInto(client: pg.Client, table: string): (chunk: CopyChunk) => Promise<void> {
  return async (chunk) => {
    const columns = chunk.columns.map((name) => pg.escapeIdentifier(name)).join(', ');
    await pipeline(chunk.bytes, client.query(copyFrom(`copy ${table} (${columns}) from stdin (format ${chunk.format})`)));
  };
}

export async function readRecords(source: Source, options: ReadOptions): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  const columns = options.columns.map(({ name }) => name);
  for (const partition of await plan(source, options)) {
    let position: Json = null;
    for (let last = false; !last; ) {
      const chunk = await source.readRecords({ ...requestOf(options), partition, columns, position });
      for await (const batch of chunk.batches) records.push(...batch);
      const end = chunk.end();
      last = end.last;
      position = JSON.parse(JSON.stringify(end.position)) as Json;
    }
  }
  return records;
}

/** The columns of a source, with the type that staging has for each: its own. */
export async function columnsOf(source: Source): Promise<{ name: string; sqlType: string }[]> {
  const { columns } = await source.describe(never);
  return columns.map(({ name, sqlType }) => ({ name, sqlType: sqlType ?? 'text' }));
}

/** Rows of a table in the order of its `id`: that, and columns as the server shows them. */
export async function shownRows(client: pg.Client, table: string, columns: readonly string[]): Promise<unknown[][]> {
  const { rows } = await client.query({
    text: `select ${['id', ...columns.map((name) => `${name}::text`)].join(', ')} from ${table} order by ${table}.id`,
    rowMode: 'array',
  });
  return rows;
}

/** Gives texts to the server, to see what it makes of them itself. */
export async function giveTexts(client: pg.Client, table: string, id: number, texts: readonly (string | null)[]): Promise<void> {
  const values = texts.map((text) => (text === null ? 'null' : client.escapeLiteral(text)));
  await client.query(`insert into ${table} values (${[id, ...values].join(', ')})`);
}
