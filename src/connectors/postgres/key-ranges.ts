/**
 * Where a chunk begins and ends. A chunk is a range of the key, so that a row that is present throughout is read exactly once whatever
 * else is inserted, changed or deleted between the chunks. https://use-the-index-luke.com/no-offset
 */
import type { ChunkRequest } from '../source.ts';
import { all, compare, type OrderValues, orderColumns, partitionCondition } from './conditions.ts';
import { quoteName } from './database.ts';
import type { ReadTransaction } from './read-transaction.ts';
import type { Relation } from './relation.ts';

/** The source's part of a chunk record. */
export interface ChunkPosition {
  /** Values of the order columns in the last row read, as text; null where the partition is one chunk. */
  readonly after: OrderValues | null;
  /** Rows of the partition read so far. */
  readonly rows: number;
  /** Bytes of a row, as measured in the last chunk that had any. */
  readonly rowBytes: number | null;
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

/** Finds the end of the chunk in the transaction that will read it. */
export async function findChunk(transaction: ReadTransaction, relation: Relation, request: Bounds, where: string): Promise<ChunkRange> {
  const { partition, window } = request;
  const order = orderColumns(relation, window);
  const inside = partitionCondition(relation, partition.filter, window, where);
  if (order.length === 0) return { where: inside, orderBy: '', upTo: null, last: true };

  const start = readPosition(request.position);
  const rest = all([inside, start.after ? compare(relation, order, '>', start.after, where) : 'true']);
  const columns = order.map(quoteName).join(', ');
  const orderBy = ` order by ${columns}`;
  const rows = chunkRows(request, start.rowBytes ?? relation.rowBytes);
  const found = await transaction.query<{ values: string[] }>(
    `select array[${order.map((name) => `ends.${quoteName(name)}::text`).join(', ')}] as values
     from (select ${columns} from ${relation.from} where ${rest}${orderBy} offset ${rows - 1} limit 2) as ends
     order by ${order.map((name) => `ends.${quoteName(name)}`).join(', ')}`,
  );
  const end = found[0]?.values;
  // One row more tells whether this chunk is the last, without reading an empty one.
  if (!end || found.length === 1) return { where: rest, orderBy, upTo: end ?? null, last: true };
  return { where: all([rest, compare(relation, order, '<=', end, where)]), orderBy, upTo: end, last: false };
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
