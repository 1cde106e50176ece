/** Partitions, windows and chunks as SQL conditions. Values are text, cast to the column's type: COPY takes no parameters. */
import type { CursorWindow, PartitionFilter } from '../source.ts';
import { quoteName, quoteText } from './database.ts';
import { columnOf, type Relation } from './relation.ts';

/** Values of the columns that give the order, as text. */
export type OrderValues = readonly string[];

/** A value of a column: its text, cast to the column's type without its length, which would cut the value. */
export function literal(relation: Relation, column: string, value: string, where: string): string {
  return `${quoteText(value)}::${columnOf(relation, column, where).type.castName}`;
}

/** Columns that the rows are read in order by; empty where a partition is one chunk. */
export function orderColumns(relation: Relation, window: CursorWindow | null): readonly string[] {
  return window ? [...new Set([window.cursor, ...window.key])] : relation.key;
}

/** The rows of a partition within a window; `true` for all. */
export function partitionCondition(relation: Relation, filter: PartitionFilter, window: CursorWindow | null, where: string): string {
  return all([filterCondition(relation, filter, where), windowCondition(relation, window, where)]);
}

export function filterCondition(relation: Relation, filter: PartitionFilter, where: string): string {
  if (filter.kind === 'all') return 'true';
  if (filter.kind === 'none') return 'false';
  const column = quoteName(filter.column);
  const value = (text: string) => literal(relation, filter.column, text, where);
  if (filter.kind === 'equals') return filter.value === null ? `${column} is null` : `${column} = ${value(filter.value)}`;
  if (filter.from === null && filter.to === null) return `${column} is not null`;
  return all([
    filter.from === null ? 'true' : `${column} >= ${value(filter.from)}`,
    filter.to === null ? 'true' : `${column} < ${value(filter.to)}`,
  ]);
}

export function windowCondition(relation: Relation, window: CursorWindow | null, where: string): string {
  if (!window) return 'true';
  if (!window.high) return 'false';
  const columns = [window.cursor, ...window.key];
  return all([
    window.low ? compare(relation, columns, '>', window.low, where) : 'true',
    compare(relation, columns, '<=', window.high, where),
  ]);
}

/**
 * `(a, b) > (x, y)`, in the order of the columns' own types and collations; an index on the columns serves it.
 * https://www.postgresql.org/docs/current/functions-comparisons.html#ROW-WISE-COMPARISON
 */
export function compare(
  relation: Relation,
  columns: readonly string[],
  operator: '>' | '>=' | '<' | '<=',
  values: OrderValues,
  where: string,
): string {
  const pairs = columns
    .map((column, index) => ({ column, value: literal(relation, column, values[index] ?? '', where) }))
    .filter(({ column }, index) => columns.indexOf(column) === index);
  const [only] = pairs;
  if (only && pairs.length === 1) return `${quoteName(only.column)} ${operator} ${only.value}`;
  return `row(${pairs.map(({ column }) => quoteName(column)).join(', ')}) ${operator} row(${pairs.map(({ value }) => value).join(', ')})`;
}

export function all(conditions: readonly string[]): string {
  const needed = conditions.filter((condition) => condition !== 'true');
  return needed.length === 0 ? 'true' : needed.join(' and ');
}
