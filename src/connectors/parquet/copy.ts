/** A chunk for `COPY ... FROM STDIN`, and the rows that do not go to staging. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { PermanentError } from '../../errors.ts';
import { POSITION_COLUMN } from '../../validation/encode-records.ts';
import { NeedsRecords } from '../needs-records.ts';
import { RejectedRows } from '../rejected-rows.ts';
import type { CopyChunk, CopyRequest, TransferRequest } from '../source.ts';
import { recordPosition } from './bounds.ts';
import { type Cut, cutPieces, type Segment, whereSql } from './chunk.ts';
import { type BinaryForm, binaryRows, COPY_HEADER, COPY_TRAILER } from './copy-binary.ts';
import { inTurn, type QueryContext, temporaryFile, withDuckDB } from './duckdb.ts';
import { plainParquetOptions, readRowGroups } from './plain-parquet.ts';
import { readSegments } from './records.ts';
import { faultSql, goodSql, type RowSql, rowSql } from './row-sql.ts';
import { quoteLiteral, readParquet } from './sql.ts';
import type { StagingBinary } from './staging-binary.ts';

const PIECE_BYTES = 256 * 1024;

/**
 * Rows that DuckDB writes at once: as many as it puts into a row group itself, since it reads whole ones. Its memory grows with them, and
 * larger pieces are not faster.
 */
const PIECE_ROWS = 122_880;
/** Rows that are made binary at once, and DuckDB's least, for wide ones. */
const GROUP_ROWS = 8192;
const LEAST_GROUP_ROWS = 2048;
const GROUP_BYTES = 4 * 1024 * 1024;

/** How the pieces of a chunk travel: as CSV that DuckDB writes, or as Parquet that is made the binary format here. */
interface Travel {
  readonly format: 'csv' | 'binary';
  readonly fileOptions: string;
  /** The expressions of a row's columns. */
  values(row: RowSql, position: string): readonly string[];
  read(file: FileHandle, signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

/**
 * The rows of a cut. DuckDB writes them to a file first, since it quotes exactly and the memory taken does not depend on the
 * rows; the file's name is gone before the first byte is given, so that nothing is left of it whatever happens.
 */
export function copyChunk(
  cut: Cut,
  request: Pick<CopyRequest, 'columns' | 'schema' | 'withPosition' | 'maxRejectedBytes' | 'signal'> & { readonly binary: boolean },
): CopyChunk {
  const { signal } = request;
  const withPosition = request.withPosition !== false;
  const travel = travelOf(cut, request, withPosition);
  const rejected = new RejectedRows(request.maxRejectedBytes);
  let isRead = false;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    let good = 0;
    if (travel.format === 'binary') yield COPY_HEADER;
    // The next piece is written while this one is read.
    const pieces = ahead(cutPieces(cut.segments, PIECE_ROWS), (segments) => writePiece(segments, request, travel));
    for await (const piece of pieces) {
      good += piece.rows;
      yield* readAndRemove(piece.path, travel, signal);
    }
    if (travel.format === 'binary') yield COPY_TRAILER;
    // Most chunks have no bad row: these are looked for only where the counts say that there are some.
    if (good < cut.rows) await findBadRows(cut.segments, request, rejected, signal);
    if (good + rejected.rows.length !== cut.rows) {
      throw new Error(`of ${cut.rows} rows ${good} are good and ${rejected.rows.length} bad: the files changed while they were read`);
    }
    isRead = true;
  }
  return {
    format: travel.format,
    columns: [...(withPosition ? [POSITION_COLUMN] : []), ...request.columns.map(({ name }) => name)],
    bytes: bytes(),
    end: () => {
      if (!isRead) throw new Error('the end of a chunk is known when its bytes are read');
      return { ...cut.end, rowsRead: cut.rows, rejected: rejected.rows };
    },
  };
}

/** Binary costs the server half of what CSV does. A chunk whose values have no simple binary form is CSV. */
function travelOf(cut: Cut, request: TransferRequest & { readonly binary: boolean }, withPosition: boolean): Travel {
  const binary = cut.segments.length === 0 || !request.binary ? null : rowsAsText(request, cut.segments).binary;
  const written = binary?.filter(({ sql }) => sql !== null) ?? [];
  if (!binary || (written.length === 0 && !withPosition)) {
    return {
      format: 'csv',
      fileOptions: `FORMAT csv, HEADER false, NULLSTR ''`,
      values: (row, position) => [...(withPosition ? [position] : []), ...row.values],
      read: readBytes,
    };
  }
  const forms: BinaryForm[] = [...(withPosition ? [{ kind: 'int8' } as const] : []), ...binary.map(({ form }) => form)];
  return {
    format: 'binary',
    fileOptions: plainParquetOptions(GROUP_ROWS * (cut.bytes / cut.rows) > GROUP_BYTES ? LEAST_GROUP_ROWS : GROUP_ROWS),
    values: (row, position) => [...(withPosition ? [position] : []), ...sqlOf(row.binary ?? [])].map((sql, index) => `${sql} AS c${index}`),
    read: (file, signal) => readBinary(file, forms, signal),
  };
}

const sqlOf = (binary: readonly StagingBinary[]): string[] => binary.flatMap(({ sql }) => (sql === null ? [] : [sql]));

/** Segments of one chunk are of files with equal columns. */
function rowsAsText(request: TransferRequest, segments: readonly Segment[]): RowSql {
  const [first] = segments;
  const row = first && rowSql(request, first.columns);
  if (!row || row instanceof NeedsRecords)
    throw new PermanentError('UnsuitableTransfer', `The rows of "${first?.path}" must be looked at one by one. Start a new run.`);
  return row;
}

interface Piece {
  readonly path: string;
  readonly rows: number;
}

async function writePiece(
  segments: readonly Segment[],
  request: TransferRequest & { signal: AbortSignal },
  travel: Travel,
): Promise<Piece> {
  const path = await temporaryFile(travel.format);
  try {
    const row = rowsAsText(request, segments);
    return { path, rows: await inTurn(() => writeGoodRows(segments, row, travel, path, request.signal)) };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Makes one thing while the one before is used; what was made for nobody is taken away. */
async function* ahead<T>(from: Iterable<T>, make: (each: T) => Promise<Piece>): AsyncGenerator<Piece> {
  let made: Promise<Piece> | null = null;
  const start = (each: T, after: Promise<Piece> | null): Promise<Piece> => {
    const piece = after ? after.then(() => make(each)) : make(each);
    // Its failure is told when its turn comes.
    piece.catch(() => {});
    return piece;
  };
  try {
    for (const each of from) {
      const ready: Promise<Piece> | null = made;
      made = start(each, ready);
      if (ready) yield await ready;
    }
    const last: Promise<Piece> | null = made;
    made = null;
    if (last) yield await last;
  } finally {
    const unused = await made?.catch(() => null);
    if (unused) await rm(unused.path, { force: true });
  }
}

/** @returns how many there are */
async function writeGoodRows(
  segments: readonly Segment[],
  row: RowSql,
  travel: Travel,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  const select = segments.map((segment) => {
    const values = travel.values(row, `file_row_number + ${recordPosition(segment.fileIndex, 0)}`).join(', ');
    return `SELECT ${values} FROM ${readParquet([segment.path])} WHERE ${whereSql(segment)} AND ${goodSql(row.faults)}`;
  });
  const context: QueryContext = { files: segments.map((segment) => segment.path), signal };
  return await withDuckDB(context, async (connection) => {
    const sql = `COPY (${select.join(' UNION ALL ')}) TO ${quoteLiteral(path)} (${travel.fileOptions})`;
    return Number((await (await connection.run(sql)).getRows())[0]?.[0] ?? 0);
  });
}

async function findBadRows(
  segments: readonly Segment[],
  request: TransferRequest,
  rejected: RejectedRows,
  signal: AbortSignal,
): Promise<void> {
  const { faults } = rowsAsText(request, segments);
  const names = request.columns.map(({ name }) => name);
  const index = `(${faultSql(faults)})`;
  for await (const batch of readSegments(segments, names, request.schema, signal, { select: index, where: `${index} IS NOT NULL` })) {
    for (const { record, extra } of batch) {
      const fault = faults[Number(extra)];
      rejected.add({
        position: record.position,
        column: fault?.column ?? null,
        reason: fault?.reason ?? 'refused',
        record: record.bytes(),
      });
    }
  }
}

async function* readAndRemove(path: string, travel: Travel, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    await rm(path, { force: true });
    yield* travel.read(file, signal);
  } finally {
    await file.close();
  }
}

async function* readBytes(file: FileHandle, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (;;) {
    signal.throwIfAborted();
    // A new buffer each time: who takes it may keep it.
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(PIECE_BYTES), 0, PIECE_BYTES);
    if (bytesRead === 0) return;
    yield bytesRead === PIECE_BYTES ? buffer : buffer.subarray(0, bytesRead);
  }
}

async function* readBinary(file: FileHandle, forms: readonly BinaryForm[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const group of readRowGroups(file)) {
    signal.throwIfAborted();
    yield binaryRows(group, forms);
  }
}
