/** The configurations of all connectors, told apart by `kind`. */
import { z } from 'zod';
import { csvConfig } from './csv/config.ts';
import { jsonlConfig } from './jsonl/config.ts';
import { parquetConfig } from './parquet/config.ts';
import { postgresSourceConfig, postgresTargetConfig } from './postgres/config.ts';

export const sourceConfig = z.discriminatedUnion('kind', [postgresSourceConfig, parquetConfig, csvConfig, jsonlConfig]);
export type SourceConfig = z.output<typeof sourceConfig>;

export const targetConfig = z.discriminatedUnion('kind', [postgresTargetConfig]);
export type TargetConfig = z.output<typeof targetConfig>;
