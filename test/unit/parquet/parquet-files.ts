/** What the tests of the Parquet source share: files made by DuckDB, and chunks read to their end. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { createParquetSource } from '../../../src/connectors/parquet/index.ts';
import type {
  CopyChunk,
  Partitioning,
  PlannedPartition,
  RejectedRow,
  Source,
  SourceRecord,
  TransferRequest,
} from '../../../src/connectors/source.ts';
import type { Json } from '../../../src/contracts/run.ts';
import type { ColumnType } from '../../../src/validation/row-schema.ts';

export const FLIGHTS = 'node_modules/vega-datasets/data/flights-3m.parquet';
export const signal = new AbortController().signal;

/** A folder that is gone afterwards, and a way to make Parquet files in it. */
export async function withFolder(work: (folder: { path: string; write(name: string, select: string): Promise<string> }) => Promise<void>) {
  const path = await mkdtemp(join(tmpdir(), 'sluice-parquet-test-'));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  try {
    await connection.run(`SET TimeZone = 'UTC'`);
    const write = async (name: string, select: string) => {
      const file = join(path, name);
      await connection.run(`COPY (${select}) TO '${file.replaceAll("'", "''")}' (FORMAT parquet)`);
      return file;
    };
    await work({ path, write });
  } finally {
    connection.closeSync();
    await rm(path, { recursive: true, force: true });
  }
}

/** As CSV, which tests can read; test/integration/parquet-copy compares the binary way with it. */
export const sourceOf = (files: string | string[]): Source => createParquetSource({ kind: 'parquet', files }, { binary: false });

export async function planOf(source: Source, partitioning: Partitioning): Promise<PlannedPartition[]> {
  const partitions: PlannedPartition[] = [];
  for await (const each of source.plan({ partitioning, columns: [], window: null, signal })) partitions.push(each);
  return partitions;
}

export interface Copied {
  readonly text: string;
  readonly rejected: RejectedRow[];
  readonly rowsRead: number;
  readonly chunks: number;
  readonly positions: Json[];
}

/** All chunks of a partition, one after the other, each from where the last one ended. */
export async function copyAll(
  source: Source,
  partition: PlannedPartition,
  request: TransferRequest,
  limits: { maxRows?: number; maxBytes?: number } = {},
): Promise<Copied> {
  const pieces: Uint8Array[] = [];
  const rejected: RejectedRow[] = [];
  const positions: Json[] = [];
  let rowsRead = 0;
  let chunks = 0;
  for (let position: Json = null, last = false; !last; chunks++) {
    const { maxRows = 100_000, maxBytes = 16 * 1024 * 1024 } = limits;
    const chunk: CopyChunk | undefined = await source.readCopy?.({
      ...request,
      partition,
      window: null,
      position,
      maxRows,
      maxBytes,
      signal,
      transfer: 'csv',
    } as never);
    if (!chunk) throw new Error('the source has no readCopy');
    for await (const piece of chunk.bytes) pieces.push(piece);
    const end: ReturnType<CopyChunk['end']> = chunk.end();
    rejected.push(...end.rejected);
    rowsRead += end.rowsRead ?? 0;
    ({ position, last } = end);
    positions.push(position);
  }
  return { text: Buffer.concat(pieces).toString('utf8'), rejected, rowsRead, chunks, positions };
}

export async function readAll(
  source: Source,
  partition: PlannedPartition,
  columns: string[],
  maxRows = 100_000,
  schema: ColumnType[] = [],
) {
  const records: SourceRecord[] = [];
  for (let position: Json = null, last = false; !last; ) {
    const request = { partition, columns, window: null, position, maxRows, maxBytes: 1e9, signal, schema };
    const chunk = await source.readRecords(request);
    for await (const batch of chunk.batches) records.push(...batch);
    ({ position, last } = chunk.end());
  }
  return records;
}

/** CSV as PostgreSQL reads it: an unquoted empty field is NULL, a quoted one is the empty string. */
export function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^,\n"]*))(,|\n)/gy;
  let row: (string | null)[] = [];
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const found = field.exec(text);
    if (!found) throw new Error(`not CSV at ${at}: ${text.slice(at, at + 50)}`);
    const [, quoted, bare, end] = found;
    row.push(quoted !== undefined ? quoted.replaceAll('""', '"') : bare === '' ? null : (bare ?? null));
    if (end === '\n') {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const column = (name: string, type: ColumnType['type'], more: Partial<ColumnType> = {}): ColumnType => ({
  name,
  type,
  nullable: false,
  optional: false,
  checks: [],
  sqlType: 'text',
  uncompiled: null,
  ...more,
});

/** The columns with the types that the source itself names for PostgreSQL. */
export async function requestFor(source: Source, schema: ColumnType[] = []): Promise<TransferRequest> {
  const { columns } = await source.describe(signal);
  return { columns: columns.map(({ name, sqlType }) => ({ name, sqlType: sqlType ?? 'text' })), schema };
}
