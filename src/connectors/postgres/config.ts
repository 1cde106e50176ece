import { z } from 'zod';

const url = z
  .string()
  .optional()
  .describe('Connection URL. Default: the environment variable SLUICE_DATABASE_URL of the worker, read when it connects.');
const identifier = z.string().min(1).max(63);
const tableName = z
  .string()
  .min(1)
  .regex(/^[^.]+(\.[^.]+)?$/, 'a table is named "table" or "schema.table"');

export const postgresSourceConfig = z
  .strictObject({
    kind: z.literal('postgres'),
    url,
    table: tableName.optional().describe('Table, view or materialized view to read; `schema.table` where it is not on the search path.'),
    query: z.string().min(1).optional().describe('A SELECT to read instead of a table. Without `key` it is one chunk a partition.'),
    key: z
      .array(identifier)
      .min(1)
      .optional()
      .describe('Columns of a unique, not null key to read in order. Default: the primary key of the table.'),
    maxLag: z
      .string()
      .min(1)
      .optional()
      .describe('How far behind a standby may be that is read, as `10 seconds`. Default: any, as long as it has what the plan has seen.'),
  })
  .refine((config) => (config.table === undefined) !== (config.query === undefined), {
    message: 'a PostgreSQL source has either a table or a query',
  });
export type PostgresSourceConfig = z.infer<typeof postgresSourceConfig>;

export const postgresTargetConfig = z
  .strictObject({
    kind: z.literal('postgres'),
    url,
    table: tableName.describe('Table to load; `schema.table` where it is not on the search path. Created when it is missing.'),
    mode: z
      .enum(['append', 'upsert', 'replace'])
      .describe('append: adds the rows. upsert: inserts or updates by key. replace: what was there goes, see scope.'),
    scope: z
      .enum(['table', 'partition'])
      .default('table')
      .describe('For replace: the whole table, or only the partitions that the run loads.'),
    key: z
      .array(identifier)
      .min(1)
      .optional()
      .describe('Columns of the key. An upsert needs a unique index on exactly these; Sluice creates it with the table.'),
    replicated: z
      .enum(['auto', 'ignore', 'report', 'wait'])
      .default('auto')
      .describe(
        'Where no synchronous standby acknowledges what was committed. report: the run succeeds as "unreplicated". wait: it succeeds once a standby has it. ' +
          'ignore: nothing is said. auto: as report, where a standby has acknowledged an earlier run, else as ignore.',
      ),
    swap: z
      .enum(['auto', 'never'])
      .default('auto')
      .describe(
        'auto: a first load is built beside an empty target and swapped in. never: its rows are inserted, for those who take long snapshots.',
      ),
  })
  .refine((config) => config.mode !== 'upsert' || config.key !== undefined, {
    message: 'mode "upsert" needs a key: name the columns that tell a row apart',
    path: ['key'],
  })
  .refine((config) => config.scope !== 'partition' || config.mode === 'replace', {
    message: 'scope "partition" belongs to mode "replace"',
    path: ['scope'],
  });
export type PostgresTargetConfig = z.infer<typeof postgresTargetConfig>;

export type PostgresSourceOptions = Omit<z.input<typeof postgresSourceConfig>, 'kind'>;
export type PostgresTargetOptions = Omit<z.input<typeof postgresTargetConfig>, 'kind'>;

/**
 * A PostgreSQL table or query as source, or a table as target (with `mode`).
 *
 * @example
 * postgres({ table: 'orders' })
 * postgres({ table: 'orders', mode: 'upsert', key: ['id'] })
 */
export function postgres(options: PostgresTargetOptions): z.input<typeof postgresTargetConfig>;
export function postgres(options: PostgresSourceOptions): z.input<typeof postgresSourceConfig>;
export function postgres(options: PostgresSourceOptions | PostgresTargetOptions): { kind: 'postgres' } & Record<string, unknown> {
  return { kind: 'postgres', ...options };
}
