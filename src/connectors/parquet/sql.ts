/** Pieces of DuckDB's SQL. */
import type { PartitionFilter } from '../source.ts';
import type { DuckType } from './types.ts';

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** These files, and no pattern: a name may hold `*`, `?` and `[`, and `key=value` in a path is no column. */
export function readParquet(paths: readonly string[]): string {
  const list = paths.map((path) => quoteLiteral(path.replace(/[*?[]/g, '[$&]'))).join(', ');
  return `read_parquet([${list}], union_by_name = true, hive_partitioning = false)`;
}

/** A partition's value as PostgreSQL writes it, as a literal that compares with a column of this type. */
export function filterLiteral(text: string, type: DuckType): string {
  switch (type.kind) {
    case 'integer':
    case 'decimal':
      return `(${text})`;
    case 'date':
    case 'timestamp':
      // A day stays a day, so that a column of dates is compared as such.
      return `CAST(${quoteLiteral(fromPostgresTime(text))} AS ${type.kind === 'date' && /^\d+-\d\d-\d\d$/.test(text) ? 'DATE' : 'TIMESTAMP'})`;
    case 'timestamptz':
      return `CAST(${quoteLiteral(fromPostgresTime(text))} AS TIMESTAMP WITH TIME ZONE)`;
    case 'text':
      return quoteLiteral(text);
    default:
      return `CAST(${quoteLiteral(text)} AS ${type.sql})`;
  }
}

/** DuckDB writes `0044-03-15 (BC) 10:00:00` where PostgreSQL writes `0044-03-15 10:00:00 BC`. */
export function toPostgresTime(text: string): string {
  return text.includes('(BC)') ? `${text.replace(' (BC)', '')} BC` : text;
}

function fromPostgresTime(text: string): string {
  return text.replace(/^(\d+-\d\d-\d\d)(.*) BC$/, '$1 (BC)$2');
}

/** Condition of a partition; null where every row belongs to it. */
export function filterSql(filter: PartitionFilter, column: { readonly ref: string; readonly type: DuckType } | null): string | null {
  if (filter.kind === 'all') return null;
  if (filter.kind === 'none') return 'false';
  // A column that this file lacks is NULL in its rows.
  if (!column) return filter.kind === 'equals' && filter.value === null ? null : 'false';
  if (filter.kind === 'equals') {
    return filter.value === null ? `${column.ref} IS NULL` : `${column.ref} = ${filterLiteral(filter.value, column.type)}`;
  }
  const conditions = [];
  if (filter.from !== null) conditions.push(`${column.ref} >= ${filterLiteral(filter.from, column.type)}`);
  if (filter.to !== null) conditions.push(`${column.ref} < ${filterLiteral(filter.to, column.type)}`);
  return conditions.length > 0 ? conditions.join(' AND ') : `${column.ref} IS NOT NULL`;
}
