import { z } from 'zod';

const pattern = z.string().min(1);

export const parquetConfig = z.strictObject({
  kind: z.literal('parquet'),
  files: z
    .union([pattern, z.array(pattern).min(1)])
    .describe(
      'Path or glob of the files, or several of them, relative to the working directory of the worker. Every worker must see the same files.',
    ),
});
export type ParquetConfig = z.output<typeof parquetConfig>;

export type ParquetOptions = Omit<z.input<typeof parquetConfig>, 'kind'>;

/**
 * Parquet files as source. Files may differ in their columns: a column that a file lacks is missing from its rows.
 * Columns whose names differ only in the case of A to Z are one, with the name that the first file gives it.
 *
 * @example
 * parquet({ files: 'data/flights-*.parquet' })
 */
export function parquet(options: ParquetOptions): z.input<typeof parquetConfig> {
  return { kind: 'parquet', ...options };
}
