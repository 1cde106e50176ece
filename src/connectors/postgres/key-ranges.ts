/**
 * Where a chunk begins and ends. A chunk is a range of the key, so that a row that is present throughout is read exactly once whatever
 * else is inserted, changed or deleted between the chunks. https://use-the-index-luke.com/no-offset
 */
import type { Json } from '../../contracts/run.ts';
import type { ChunkRequest } from '../source.ts';
import { all, compare, type OrderValues, orderColumns, partitionCondition } from './conditions.ts';
import { quoteName } from './database.ts';
import type { ReadTransaction } from './read-transaction.ts';
import type { Relation } from './relation.ts';
import type { SeenPosition } from './source-watch.ts';

/** The source's part of a chunk record. */
export interface ChunkPosition {
  /** Values of the order columns in the last row read, as text; null where the partition is one chunk. */
  readonly after: OrderValues | null;
  /** Rows of the partition read so far. */
  readonly rows: number;
  /** Bytes of a row, as measured in the last chunk that had any. */
  readonly rowBytes: number | null;
  /** How far the source was when it was read. */
  readonly seen?: SeenPosition | null;
}

/** What of a request decides where its chunk ends. */
export type Bounds = Pick<ChunkRequest, 'partition' | 'window' | 'position' | 'maxRows' | 'maxBytes'>;

export const START: ChunkPosition = { after: null, rows: 0, rowBytes: null };

/** For rows of which nothing is known. */
const UNKNOWN_ROW_BYTES = 1024;

export interface ChunkRange {
  /** The rows of the chunk. */
  readonly where: string;
  /** ` order by ...` of the key; empty without one. */
  readonly orderBy: string;
  /** Values of the order columns where it ends; null at the end of the partition. */
  readonly upTo: OrderValues | null;
  readonly last: boolean;
}

export function readPosition(position: ChunkRequest['position']): ChunkPosition {
  return position === null ? START : (position as unknown as ChunkPosition);
}

/** Where a chunk ends. */
export interface ChunkEnd {
  /** Values of the order columns in its last row; null where it has none. */
  readonly upTo: OrderValues | null;
  /** There was no row after it. */
  readonly last: boolean;
}

/** The rows of the chunk after `request.position`, up to an end that is known, or is looked for in the transaction that will read it. */
export async function findChunk(
  transaction: ReadTransaction,
  relation: Relation,
  request: Bounds,
  where: string,
  known: ChunkEnd | null = null,
): Promise<ChunkRange> {
  const order = orderColumns(relation, request.window);
  const rest = restOf(relation, request, where);
  if (order.length === 0) return { where: rest, orderBy: '', upTo: null, last: true };
  const { upTo, last } = known ?? (await findEnd(transaction, relation, request, where));
  const orderBy = ` order by ${order.map(quoteName).join(', ')}`;
  if (last || upTo === null) return { where: rest, orderBy, upTo, last: true };
  return { where: all([rest, compare(relation, order, '<=', upTo, where)]), orderBy, upTo, last: false };
}

/** The end of the chunk after `request.position`. One row more tells whether it is the last, without reading an empty one. */
export async function findEnd(transaction: ReadTransaction, relation: Relation, request: Bounds, where: string): Promise<ChunkEnd> {
  const order = orderColumns(relation, request.window);
  const columns = order.map(quoteName).join(', ');
  const start = readPosition(request.position);
  const rows = chunkRows(request, start.rowBytes ?? relation.rowBytes);
  const found = await transaction.query<{ values: string[] }>(
    `select array[${order.map((name) => `ends.${quoteName(name)}::text`).join(', ')}] as values
     from (select ${columns} from ${relation.from} where ${restOf(relation, request, where)} order by ${columns} offset ${rows - 1} limit 2) as ends
     order by ${order.map((name) => `ends.${quoteName(name)}`).join(', ')}`,
  );
  return { upTo: found[0]?.values ?? null, last: found.length < 2 };
}

/** The rows of the partition after `request.position`. */
function restOf(relation: Relation, request: Bounds, where: string): string {
  const order = orderColumns(relation, request.window);
  const inside = partitionCondition(relation, request.partition.filter, request.window, where);
  const { after } = readPosition(request.position);
  return after && order.length > 0 ? all([inside, compare(relation, order, '>', after, where)]) : inside;
}

export function toJson({ after, rows, rowBytes, seen }: ChunkPosition): Json {
  return { after: after ? [...after] : null, rows, rowBytes, ...(seen ? { seen: { ...seen } } : {}) };
}

function chunkRows(request: Bounds, rowBytes: number | null): number {
  const fitting = Math.floor(request.maxBytes / Math.max(1, rowBytes ?? UNKNOWN_ROW_BYTES));
  return Math.max(1, Math.min(request.maxRows, fitting));
}

/** The position after a chunk. */
export function nextPosition(start: ChunkPosition, range: ChunkRange, rows: number, bytes: number): ChunkPosition {
  return {
    after: range.upTo ?? start.after,
    rows: start.rows + rows,
    rowBytes: rows > 0 ? Math.ceil(bytes / rows) : start.rowBytes,
  };
}
