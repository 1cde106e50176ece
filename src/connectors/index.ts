/** The registry of sources by kind. */
import type { SourceConfig } from './configs.ts';
import { createCsvSource } from './csv/source.ts';
import { createJsonlSource } from './jsonl/source.ts';
import { createParquetSource } from './parquet/source.ts';
import { createPostgresSource } from './postgres/source.ts';
import type { Source } from './source.ts';

export function createSource(config: SourceConfig, env: NodeJS.ProcessEnv = process.env): Source {
  switch (config.kind) {
    case 'postgres':
      return createPostgresSource(config, env);
    case 'parquet':
      return createParquetSource(config);
    case 'csv':
      return createCsvSource(config);
    case 'jsonl':
      return createJsonlSource(config);
  }
}

/** What the values of a source's records are before the row schema has seen them. */
export const RECORD_VALUES: Readonly<Record<SourceConfig['kind'], 'text' | 'json' | 'typed'>> = {
  postgres: 'text',
  parquet: 'typed',
  csv: 'text',
  jsonl: 'json',
};
