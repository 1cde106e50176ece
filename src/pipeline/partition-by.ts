/** How a pipeline divides its rows into partitions. */
import type { Partitioning } from '../connectors/source.ts';

/** Bounds for partitions by date, ISO 8601; from the data where left out. */
export interface DateBounds {
  /** First day or instant, inclusive. */
  readonly from?: string | undefined;
  /** Last day or instant, exclusive. */
  readonly to?: string | undefined;
}

/** One partition for each day (UTC) of a date or timestamp column. */
export const day = (column: string, bounds: DateBounds = {}): Partitioning => ({ by: 'date', unit: 'day', column, ...bounds });
/** One partition for each month (UTC) of a date or timestamp column. */
export const month = (column: string, bounds: DateBounds = {}): Partitioning => ({ by: 'date', unit: 'month', column, ...bounds });
/** One partition for each year (UTC) of a date or timestamp column. */
export const year = (column: string, bounds: DateBounds = {}): Partitioning => ({ by: 'date', unit: 'year', column, ...bounds });

/** One partition for each value of a column; `values` limits the run to these. */
export const column = (name: string, values?: readonly (string | null)[]): Partitioning => ({ by: 'value', column: name, values });
/** The same as {@link column}, for the commonest case. */
export const region = column;

/** One partition for every `rows` rows in the order of a key column; about as many where a large table of PostgreSQL is sampled. */
export const keyRange = (column: string, rows: number): Partitioning => ({ by: 'range', column, rows });

const MEBIBYTE = 1024 * 1024;
const DEFAULT_BYTES = 64 * MEBIBYTE;

/** Files in partitions of `size` bytes at most, about (of Parquet, as they are when read); a smaller file is one. @param size @default 64 MiB */
export const bytes = (size: number = DEFAULT_BYTES): Partitioning => ({ by: 'bytes', size });

/** One partition for each file. */
export const file = (): Partitioning => ({ by: 'file' });
