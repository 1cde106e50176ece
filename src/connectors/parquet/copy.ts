/** A chunk as CSV for `COPY ... FROM STDIN`, written by DuckDB, and the rows that do not go to staging. */
import { open, rm } from 'node:fs/promises';
import { PermanentError } from '../../errors.ts';
import { POSITION_COLUMN } from '../../validation/encode-records.ts';
import { NeedsRecords } from '../needs-records.ts';
import type { CopyChunk, CopyRequest, RejectedRow, TransferRequest } from '../source.ts';
import { recordPosition } from './bounds.ts';
import { type Cut, cutPieces, type Segment, whereSql } from './chunk.ts';
import { type QueryContext, temporaryFile, withDuckDB } from './duckdb.ts';
import { readSegments } from './records.ts';
import { faultSql, goodSql, type RowSql, rowSql } from './row-sql.ts';
import { quoteLiteral, readParquet } from './sql.ts';

const PIECE_BYTES = 256 * 1024;

/**
 * Rows that DuckDB writes at once. Its memory grows with them; larger pieces are not faster, since DuckDB works on one row group
 * with one thread, and files have about as many rows in each.
 */
const PIECE_ROWS = 131_072;

/**
 * The rows of a cut. DuckDB writes them to a file first, since it quotes exactly and the memory taken does not depend on the
 * rows; the file's name is gone before the first byte is given, so that nothing is left of it whatever happens.
 */
export function copyChunk(cut: Cut, request: Pick<CopyRequest, 'columns' | 'schema' | 'withPosition' | 'signal'>): CopyChunk {
  const { signal } = request;
  const withPosition = request.withPosition !== false;
  const rejected: RejectedRow[] = [];
  let isRead = false;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    let good = 0;
    // The next piece is written while this one is read.
    const pieces = ahead(cutPieces(cut.segments, PIECE_ROWS), (segments) => writePiece(segments, request, withPosition));
    for await (const piece of pieces) {
      good += piece.rows;
      yield* readAndRemove(piece.path, signal);
    }
    // Most chunks have no bad row: these are looked for only where the counts say that there are some.
    if (good < cut.rows) rejected.push(...(await badRows(cut.segments, request, signal)));
    if (good + rejected.length !== cut.rows) {
      throw new Error(`of ${cut.rows} rows ${good} are good and ${rejected.length} bad: the files changed while they were read`);
    }
    isRead = true;
  }
  return {
    format: 'csv',
    columns: [...(withPosition ? [POSITION_COLUMN] : []), ...request.columns.map(({ name }) => name)],
    bytes: bytes(),
    end: () => {
      if (!isRead) throw new Error('the end of a chunk is known when its bytes are read');
      return { ...cut.end, rowsRead: cut.rows, rejected };
    },
  };
}

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
  withPosition: boolean,
): Promise<Piece> {
  const path = await temporaryFile('csv');
  try {
    return { path, rows: await writeGoodRows(segments, rowsAsText(request, segments), withPosition, path, request.signal) };
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
  withPosition: boolean,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  const select = segments.map((segment) => {
    const position = withPosition ? [`file_row_number + ${recordPosition(segment.fileIndex, 0)}`] : [];
    const values = [...position, ...row.values].join(', ');
    return `SELECT ${values} FROM ${readParquet([segment.path])} WHERE ${whereSql(segment)} AND ${goodSql(row.faults)}`;
  });
  const context: QueryContext = { files: segments.map((segment) => segment.path), signal };
  return await withDuckDB(context, async (connection) => {
    const sql = `COPY (${select.join(' UNION ALL ')}) TO ${quoteLiteral(path)} (FORMAT csv, HEADER false, NULLSTR '')`;
    return Number((await (await connection.run(sql)).getRows())[0]?.[0] ?? 0);
  });
}

async function badRows(segments: readonly Segment[], request: TransferRequest, signal: AbortSignal): Promise<RejectedRow[]> {
  const { faults } = rowsAsText(request, segments);
  const names = request.columns.map(({ name }) => name);
  const rows: RejectedRow[] = [];
  const index = `(${faultSql(faults)})`;
  for await (const batch of readSegments(segments, names, request.schema, signal, { select: index, where: `${index} IS NOT NULL` })) {
    for (const { record, extra } of batch) {
      const fault = faults[Number(extra)];
      rows.push({ position: record.position, column: fault?.column ?? null, reason: fault?.reason ?? 'refused', record: record.bytes() });
    }
  }
  return rows;
}

async function* readAndRemove(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    await rm(path, { force: true });
    for (;;) {
      signal.throwIfAborted();
      // A new buffer each time: who takes it may keep it.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(PIECE_BYTES), 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield bytesRead === PIECE_BYTES ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
