import { z } from 'zod';

export const jsonlConfig = z.strictObject({
  kind: z.literal('jsonl'),
  files: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe('Path or glob (or several), relative to the working directory of the worker. UTF-8, one JSON object a line.'),
  columns: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Keys of the objects that are columns. Default: the keys of the first 1,000 objects of each file.'),
  maxRecordBytes: z
    .int()
    .min(1024)
    .max(64 * 1024 * 1024)
    .default(1024 * 1024)
    .describe('Bytes that a line may have at most; a longer one is a bad record.'),
});

export type JsonlConfig = z.output<typeof jsonlConfig>;
export type JsonlOptions = Omit<z.input<typeof jsonlConfig>, 'kind'>;

/**
 * Files with one JSON object a line (JSON lines, newline-delimited JSON).
 *
 * @example
 * jsonl({ files: 'events/*.jsonl' })
 */
export function jsonl(options: JsonlOptions): z.input<typeof jsonlConfig> {
  return { kind: 'jsonl', ...options };
}
