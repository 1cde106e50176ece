/** Divides the rows of a source into partitions that cover each row exactly once, null included. */
import { DefinitionError, PermanentError } from '../../errors.ts';
import type { Partitioning, PlannedPartition } from '../source.ts';
import { all, filterCondition, literal, orderColumns, windowCondition } from './conditions.ts';
import { quoteName } from './database.ts';
import { type PartitionRequest, planned } from './partition-request.ts';
import { planRanges } from './range-partitions.ts';
import type { ReadTransaction } from './read-transaction.ts';
import { columnOf } from './relation.ts';
import { baseType } from './types.ts';

/**
 * All in one snapshot, read through a cursor, so that a plan may be long.
 * @throws DefinitionError where the column cannot divide in this way; PermanentError `NullInKey`
 */
export async function* planPartitions(
  transaction: ReadTransaction,
  request: PartitionRequest,
): AsyncGenerator<PlannedPartition, void, void> {
  await refuseNullKeys(transaction, request);
  switch (request.partitioning.by) {
    case 'none':
      yield await wholePartition(transaction, request);
      return;
    case 'date':
      yield* datePartitions(transaction, request, request.partitioning);
      return;
    case 'value':
      yield* valuePartitions(transaction, request, request.partitioning);
      return;
    case 'range':
      yield* planRanges(transaction, request, request.partitioning);
      return;
    case 'file':
    case 'bytes':
      throw new DefinitionError(
        `${request.where}: a PostgreSQL source has no files to partition by. Use day, month or year, region or column, or keyRange.`,
      );
  }
}

/** A row with null in its key would be in no chunk. Asked only where the columns do not rule it out. */
async function refuseNullKeys(transaction: ReadTransaction, { relation, window, where }: PartitionRequest): Promise<void> {
  const order = orderColumns(relation, window).filter((name) => name !== window?.cursor);
  const nullable = order.filter((name) => !columnOf(relation, name, where).notNull);
  if (nullable.length === 0) return;
  const low = window?.low?.[0];
  const condition = all([
    window && low !== undefined ? `${quoteName(window.cursor)} >= ${literal(relation, window.cursor, low, where)}` : 'true',
    `(${nullable.map((name) => `${quoteName(name)} is null`).join(' or ')})`,
  ]);
  const found = await transaction.query(`select 1 from ${relation.from} where ${condition} limit 1`);
  if (found.length === 0) return;
  throw new PermanentError(
    'NullInKey',
    `${where}: ${relation.label} has rows with null in its key (${order.join(', ')}); they would be read by no chunk. Name a key without nulls, or leave \`key\` out.`,
  );
}

/** Tables up to this many rows (by the statistics) are counted. */
const COUNTED_ROWS = 20_000_000;

async function wholePartition(transaction: ReadTransaction, { relation, window, where }: PartitionRequest): Promise<PlannedPartition> {
  return planned('all', { kind: 'all' }, await countRows());

  async function countRows(): Promise<number | null> {
    if (relation.rowsEstimated === null && !window) return null;
    if (!window && relation.rowsEstimated !== null && relation.rowsEstimated > COUNTED_ROWS) return Math.round(relation.rowsEstimated);
    const [row] = await transaction.query<{ rows: string }>(
      `select count(*) as rows from ${relation.from} where ${windowCondition(relation, window, where)}`,
    );
    return Number(row?.rows ?? 0);
  }
}

const DATE_TYPES: Readonly<Record<string, string>> = {
  date: 'date',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
};
const NAME_FORMATS = { day: 'YYYY-MM-DD', month: 'YYYY-MM', year: 'YYYY' } as const;

/** Only units that have rows; in UTC (the transaction's time zone). Bounds that were given cut the first and the last one. */
async function* datePartitions(
  transaction: ReadTransaction,
  { relation, window, where }: PartitionRequest,
  partitioning: Partitioning & { by: 'date' },
): AsyncGenerator<PlannedPartition, void, void> {
  const { column, unit } = partitioning;
  const from = partitioning.from ?? null;
  const to = partitioning.to ?? null;
  const description = columnOf(relation, column, where);
  const type = DATE_TYPES[baseType(description.type).name];
  if (!type) {
    throw new DefinitionError(
      `${where}: column "${column}" is ${description.sqlType}; partitions by ${unit} need a date or timestamp. Use keyRange or column.`,
    );
  }
  const name = quoteName(column);
  const bounded = from !== null || to !== null;
  const inside = all([
    windowCondition(relation, window, where),
    bounded ? filterCondition(relation, { kind: 'between', column, from, to }, where) : 'true',
  ]);
  // A date is truncated as a timestamp, so that no time zone has a say.
  const value = type === 'date' ? `${name}::timestamp` : `${name}::${type}`;
  const bound = (text: string) => literal(relation, column, text, where);
  const start = from === null ? `unit::${type}` : `greatest(unit::${type}, ${bound(from)}::${type})`;
  const end =
    to === null ? `(unit + interval '1 ${unit}')::${type}` : `least((unit + interval '1 ${unit}')::${type}, ${bound(to)}::${type})`;
  const pages = transaction.pages<{ name: string | null; from: string | null; to: string | null; endless: boolean; rows: string }>(
    `select to_char(unit, '${NAME_FORMATS[unit]}') || case when unit < '0001-01-01' then ' BC' else '' end as name,
            (case when isfinite(unit) then ${start} else unit::${type} end)::text as from,
            (case when isfinite(unit) then ${end} end)::text as to, not isfinite(unit) as endless, rows::text as rows
     from (select date_trunc('${unit}', ${value}) as unit, count(*) as rows from ${relation.from} where ${inside} group by 1) as units
     order by units.unit nulls last`,
  );
  for await (const page of pages) {
    for (const row of page) {
      const rows = Number(row.rows);
      if (row.from === null) yield planned('null', { kind: 'equals', column, value: null }, rows);
      else if (row.endless) yield planned(row.from, { kind: 'equals', column, value: row.from }, rows);
      else yield planned(row.name ?? row.from, { kind: 'between', column, from: row.from, to: row.to }, rows);
    }
  }
}

async function* valuePartitions(
  transaction: ReadTransaction,
  { relation, window, where }: PartitionRequest,
  partitioning: Partitioning & { by: 'value' },
): AsyncGenerator<PlannedPartition, void, void> {
  const { column, values } = partitioning;
  columnOf(relation, column, where);
  if (values) {
    for (const value of new Set(values)) yield planned(valueName(column, value), { kind: 'equals', column, value }, null);
    return;
  }
  const name = quoteName(column);
  const pages = transaction.pages<{ value: string | null; rows: string }>(
    `select found.item::text as value, found.number::text as rows
     from (select ${name} as item, count(*) as number from ${relation.from} where ${windowCondition(relation, window, where)} group by ${name}) as found
     order by found.item nulls last`,
  );
  for await (const page of pages) {
    for (const { value, rows } of page) yield planned(valueName(column, value), { kind: 'equals', column, value }, Number(rows));
  }
}

/** A text that reads `null` is quoted, so that names stay apart. */
function valueName(column: string, value: string | null): string {
  return `${column}=${value === 'null' ? "'null'" : (value ?? 'null')}`;
}
