/** Cuts a partition into chunks: ranges of row numbers, so that a chunk is found again exactly, by any worker. */
import type { ChunkEnd, PartitionFilter } from '../source.ts';
import type { Bounds, FileBounds, Position } from './bounds.ts';
import { inTurn, queryRows } from './duckdb.ts';
import { type Columns, columnRef, fileColumns } from './file-info.ts';
import { filterSql, readParquet } from './sql.ts';
import type { TypeKind } from './types.ts';

/** A range of rows of one file, read as one. */
export interface Segment {
  /** Number of the file within the partition's bounds. */
  readonly fileIndex: number;
  readonly path: string;
  readonly columns: Columns;
  /** The first row, and one more than the last. */
  readonly from: number;
  readonly to: number;
  /** Condition for the rows in between that belong to the partition; null where all do. */
  readonly filter: string | null;
  /** How many those are, about where this is part of a longer segment. */
  readonly rows: number;
}

export interface Cut {
  readonly segments: readonly Segment[];
  readonly rows: number;
  /** As text, about. */
  readonly bytes: number;
  readonly end: ChunkEnd;
}

export interface CutRequest {
  readonly bounds: Bounds;
  readonly filter: PartitionFilter;
  readonly columns: readonly string[];
  readonly position: Position;
  readonly maxRows: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** Many small files make one chunk, up to this many of them. */
const MAX_SEGMENTS = 64;
/** What a value takes as text with its comma, about; text, bytes and documents are measured, with this besides. */
const USUAL_BYTES: Readonly<Partial<Record<TypeKind, number>>> = {
  boolean: 5,
  integer: 10,
  date: 11,
  timestamp: 23,
  timestamptz: 23,
  uuid: 37,
};
const OTHER_BYTES = 18;
const SEPARATOR_BYTES = 3;
const POSITION_BYTES = 12;

/**
 * The next chunk after a position. The rows are looked for, not just counted off: a chunk is as large as it may be also where
 * the rows of a partition lie scattered over the file.
 *
 * DuckDB reads only the row groups that a range of `file_row_number` touches.
 */
export async function cutChunk(request: CutRequest): Promise<Cut> {
  const segments: Segment[] = [];
  let { file, row } = request.position;
  let rows = 0;
  let bytes = 0;
  const { files } = request.bounds;
  while (file < files.length && segments.length < MAX_SEGMENTS) {
    const bounds = files[file];
    if (!bounds) break;
    const columns = await fileColumns(bounds);
    if (segments[0] && !sameTypes(segments[0].columns, columns, request.columns)) break;
    const from = Math.max(row, bounds.from);
    if (from < bounds.to) {
      const found = await findRows(request, bounds, columns, from, request.maxRows - rows, request.maxBytes - bytes, segments.length === 0);
      if (found.rows > 0) {
        segments.push({
          fileIndex: file,
          path: bounds.path,
          columns,
          from,
          to: found.to,
          filter: condition(request, bounds, columns),
          rows: found.rows,
        });
        rows += found.rows;
        bytes += found.bytes;
      }
      if (found.to < bounds.to) {
        row = found.to;
        break;
      }
    }
    file += 1;
    row = 0;
    if (rows >= request.maxRows || bytes >= request.maxBytes) break;
  }
  return { segments, rows, bytes, end: { position: { file, row }, last: file >= files.length } };
}

interface Found {
  /** One more than the number of the last row of the chunk in this file. */
  readonly to: number;
  readonly rows: number;
  readonly bytes: number;
}

async function findRows(
  request: CutRequest,
  bounds: FileBounds,
  columns: Columns,
  from: number,
  maxRows: number,
  maxBytes: number,
  atLeastOne: boolean,
): Promise<Found> {
  const width = widthOf(request.columns, columns);
  const filter = condition(request, bounds, columns);
  const limit = Math.min(maxRows, Math.max(Math.floor(maxBytes / width.fixed), atLeastOne ? 1 : 0));
  if (limit === 0) return { to: from, rows: 0, bytes: 0 };
  if (filter === null && width.sql === null) {
    const rows = Math.min(bounds.to - from, limit);
    return { to: from + rows, rows, bytes: rows * width.fixed };
  }
  const where = whereSql({ from, to: bounds.to, filter });
  const context = { files: [bounds.path], signal: request.signal };
  // The order of rows is kept (preserve_insertion_order), so that the limit takes the first ones.
  const rowsSql = `SELECT file_row_number AS r, (${width.sql ?? width.fixed})::DOUBLE AS w FROM ${readParquet([bounds.path])} WHERE ${where} LIMIT ${limit}`;
  const [sum] = await inTurn(() => queryRows(context, `SELECT count(*) AS n, max(r) AS last, sum(w) AS bytes FROM (${rowsSql})`));
  const rows = Number(sum?.n ?? 0);
  if (rows === 0) return { to: bounds.to, rows: 0, bytes: 0 };
  if (Number(sum?.bytes) <= maxBytes) return { to: rows < limit ? bounds.to : Number(sum?.last) + 1, rows, bytes: Number(sum?.bytes) };

  const running = `SELECT r, w, sum(w) OVER (ORDER BY r ROWS UNBOUNDED PRECEDING) AS upto FROM (${rowsSql})`;
  const fits = atLeastOne ? `upto <= ${maxBytes} OR upto = w` : `upto <= ${maxBytes}`;
  const [cut] = await inTurn(() =>
    queryRows(context, `SELECT count(*) AS n, max(r) AS last, max(upto) AS bytes FROM (${running}) WHERE ${fits}`),
  );
  const fitting = Number(cut?.n ?? 0);
  return fitting === 0 ? { to: from, rows: 0, bytes: 0 } : { to: Number(cut?.last) + 1, rows: fitting, bytes: Number(cut?.bytes) };
}

/** The partition's condition in this file; null where every row in its bounds belongs to it. */
export function condition(request: Pick<CutRequest, 'filter'>, bounds: FileBounds, columns: Columns): string | null {
  if (bounds.rows === bounds.to - bounds.from) return null;
  return filterSql(request.filter, 'column' in request.filter ? columnRef(columns, request.filter.column) : null);
}

/** Condition of the rows of a segment. */
export function whereSql({ from, to, filter }: Pick<Segment, 'from' | 'to' | 'filter'>): string {
  const range = `file_row_number >= ${from} AND file_row_number < ${to}`;
  return filter === null ? range : `${range} AND ${filter}`;
}

/** Segments in pieces of about so many rows of the partition, so that a large chunk takes no more memory than a small one. */
export function cutPieces(segments: readonly Segment[], maxRows: number): Segment[][] {
  const pieces: Segment[][] = [];
  let room = 0;
  for (const segment of segments) {
    const density = segment.rows / (segment.to - segment.from);
    for (let from = segment.from; from < segment.to; ) {
      if (room < 1) {
        pieces.push([]);
        room = maxRows;
      }
      const to = Math.min(segment.to, from + Math.ceil(room / density));
      const rows = (to - from) * density;
      pieces.at(-1)?.push({ ...segment, from, to, rows });
      room -= rows;
      from = to;
    }
  }
  return pieces;
}

interface Width {
  /** Bytes that every row takes at least. */
  readonly fixed: number;
  /** Bytes of a row as an expression; null where `fixed` says all. */
  readonly sql: string | null;
}

/** How many bytes a row takes as text, about. */
function widthOf(names: readonly string[], columns: Columns): Width {
  const measured: string[] = [];
  let fixed = POSITION_BYTES;
  for (const name of names) {
    const column = columnRef(columns, name);
    if (!column) continue;
    const { ref, type } = column;
    const isMeasured = ['text', 'blob', 'list', 'json', 'other', 'bit'].includes(type.kind);
    if (isMeasured) measured.push(type.kind === 'blob' ? `coalesce(2 * octet_length(${ref}), 0)` : `coalesce(strlen(${ref}::VARCHAR), 0)`);
    fixed += isMeasured ? SEPARATOR_BYTES : (USUAL_BYTES[type.kind] ?? OTHER_BYTES);
  }
  return { fixed, sql: measured.length > 0 ? `${measured.join(' + ')} + ${fixed}` : null };
}

function sameTypes(a: Columns, b: Columns, names: readonly string[]): boolean {
  return names.every((name) => a.typeOf(name)?.sql === b.typeOf(name)?.sql);
}
