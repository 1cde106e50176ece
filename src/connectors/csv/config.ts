import { z } from 'zod';

const oneByte = z.string().regex(/^[\t\x20-\x7e]$/, 'is one ASCII character (a tab is "\\t")');

export const csvConfig = z
  .strictObject({
    kind: z.literal('csv'),
    files: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .describe('Path or glob (or several), relative to the working directory of the worker. UTF-8, with or without a byte order mark.'),
    delimiter: oneByte.default(',').describe('Character between fields.'),
    quote: oneByte.nullable().default('"').describe('Character around fields that hold delimiters, line ends or quotes; null: no quoting.'),
    escape: oneByte.optional().describe('Character before a quote inside a quoted field. Default: the quote itself (a doubled quote).'),
    header: z
      .union([z.literal(true), z.array(z.string().min(1)).min(1)])
      .default(true)
      .describe('true: the first line of each file names its columns. A list: the files have no header, and these are the columns.'),
    nullText: z
      .string()
      .default('')
      .describe('Unquoted text that stands for null. Default: the empty field; a quoted empty field is the empty string.'),
    maxRecordBytes: z
      .int()
      .min(1024)
      .max(64 * 1024 * 1024)
      .default(1024 * 1024)
      .describe('Bytes that a record may have at most. A quote that is not closed within them is broken quoting.'),
  })
  .refine((config) => config.quote === null || config.quote !== config.delimiter, {
    message: 'quote and delimiter are the same character',
    path: ['quote'],
  });

export type CsvConfig = z.output<typeof csvConfig>;
export type CsvOptions = Omit<z.input<typeof csvConfig>, 'kind'>;

/**
 * CSV files (RFC 4180: quoted fields may hold delimiters, line ends and doubled quotes; lines end with LF or CRLF).
 *
 * @example
 * csv({ files: 'data/orders-*.csv' })
 * csv({ files: 'export.tsv', delimiter: '\t', nullText: '\\N', header: ['id', 'name'] })
 */
export function csv(options: CsvOptions): z.input<typeof csvConfig> {
  return { kind: 'csv', ...options };
}
