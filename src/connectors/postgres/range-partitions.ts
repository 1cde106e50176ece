/** Ranges of a column, with about as many rows each as asked for. */
import type { Partitioning, PlannedPartition } from '../source.ts';
import { all, windowCondition } from './conditions.ts';
import { quoteName } from './database.ts';
import { type PartitionRequest, planned } from './partition-request.ts';
import type { ReadTransaction } from './read-transaction.ts';
import { columnOf } from './relation.ts';

type RangePartitioning = Partitioning & { by: 'range' };

/**
 * The first and the last range are open, so that rows inserted outside are in one of them. A value that fills more than a range is not
 * divided. Of large tables a sample says where the ranges begin; all others are counted.
 */
export async function* planRanges(
  transaction: ReadTransaction,
  request: PartitionRequest,
  partitioning: RangePartitioning,
): AsyncGenerator<PlannedPartition, void, void> {
  const { column } = partitioning;
  const nulls = await countNulls(transaction, request, column);
  const starts = await sampledStarts(transaction, request, partitioning, nulls);
  yield* toRanges(column, starts ?? countedStarts(transaction, request, partitioning));
  if (nulls > 0) yield planned('null', { kind: 'equals', column, value: null }, nulls);
}

async function countNulls(transaction: ReadTransaction, { relation, window, where }: PartitionRequest, column: string): Promise<number> {
  if (columnOf(relation, column, where).notNull) return 0;
  const [found] = await transaction.query<{ rows: string }>(
    `select count(*) as rows from ${relation.from} where ${all([windowCondition(relation, window, where), `${quoteName(column)} is null`])}`,
  );
  return Number(found?.rows ?? 0);
}

/** Where a range may begin: a value, how many rows are below it (no other value has as many), and how many there are. */
interface Start {
  readonly value: string;
  readonly below: number;
  readonly total: number;
}

async function* toRanges(column: string, starts: AsyncIterable<Start> | Iterable<Start>): AsyncGenerator<PlannedPartition, void, void> {
  let open = null as { from: string | null; below: number } | null;
  let rows = 0;
  for await (const { value, below, total } of starts) {
    rows = total;
    if (open?.below === below) continue;
    if (open) yield range(open.from, value, below - open.below);
    open = { from: open ? value : null, below };
  }
  if (open) yield range(open.from, null, rows - open.below);

  function range(from: string | null, to: string | null, rowsExpected: number): PlannedPartition {
    const label = from === null ? (to === null ? `${column} all` : `${column} before ${to}`) : `${column} from ${from}`;
    return planned(label, { kind: 'between', column, from, to }, rowsExpected);
  }
}

/** Every so many rows, the place of the first row with this value. */
async function* countedStarts(
  transaction: ReadTransaction,
  { relation, window, where }: PartitionRequest,
  { column, rows }: RangePartitioning,
): AsyncGenerator<Start, void, void> {
  const name = quoteName(column);
  const pages = transaction.pages<{ value: string; place: string; total: string }>(
    `select rows.value::text as value, rows.place::text as place, rows.total::text as total
     from (select ${name} as value, rank() over ordered as place, row_number() over ordered as number, count(*) over () as total
           from ${relation.from} where ${all([windowCondition(relation, window, where), `${name} is not null`])}
           window ordered as (order by ${name})) as rows
     where (rows.number - 1) % ${rows} = 0 order by rows.number`,
  );
  for await (const page of pages) {
    for (const { value, place, total } of page) yield { value, below: Number(place) - 1, total: Number(total) };
  }
}

/** Tables up to this many rows (by the statistics) are counted. */
const COUNTED_ROWS = 1_000_000;
/**
 * Pages sampled for each range. Where neighbours in the table are neighbours in the column, a page says no more than one row of it would,
 * and ranges differ in size by about one part in the square root of this (7 %).
 */
const PAGES_A_RANGE = 200;
/** From so many pages on (160 MB) fewer are sampled for each range, down to a tenth. */
const PAGES_ENOUGH = 20_000;
/** A larger share of the pages is not worth a sample. */
const LARGEST_SHARE = 0.25;

/**
 * Values that divide a sample of the table's pages evenly.
 * @returns null where the rows are to be counted: the table is not large, or cannot be sampled, or no row was in the sample
 */
async function sampledStarts(
  transaction: ReadTransaction,
  { relation, window, where }: PartitionRequest,
  { column, rows }: RangePartitioning,
  nulls: number,
): Promise<Start[] | null> {
  const { pages, rowsEstimated } = relation;
  // What is new since the last run may be a small part of the table.
  if (pages === null || rowsEstimated === null || rowsEstimated <= COUNTED_ROWS || window?.low) return null;
  const total = Math.max(0, rowsEstimated - nulls);
  const ranges = Math.max(1, Math.round(total / rows));
  const enough = ranges * PAGES_A_RANGE;
  const share = Math.max(Math.min(enough, PAGES_ENOUGH), enough / 10) / pages;
  if (share > LARGEST_SHARE) return null;

  const name = quoteName(column);
  const found = await transaction.query<{ value: string; place: string }>(
    `select divided.value::text as value, rank() over (order by divided.value)::text as place
     from (select unnest(percentile_disc(array(select place / ${ranges}::float8 from generate_series(0, ${ranges - 1}) as place))
                         within group (order by ${name})) as value
           from ${relation.from} tablesample system (${share * 100}) repeatable (0)
           where ${all([windowCondition(relation, window, where), `${name} is not null`])}) as divided order by divided.value`,
  );
  if (found.length === 0) return null;
  return found.map(({ value, place }) => ({ value, below: Math.round(((Number(place) - 1) * total) / ranges), total: Math.round(total) }));
}
