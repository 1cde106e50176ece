/** What pipeline modules import: `import { definePipeline, parquet, postgres } from 'sluice'`. */
export { csv } from './connectors/csv/config.ts';
export { jsonl } from './connectors/jsonl/config.ts';
export { parquet } from './connectors/parquet/config.ts';
export { postgres } from './connectors/postgres/config.ts';
export type { Partitioning } from './connectors/source.ts';
export { type Check, noRows, notFewerThan, rowCount, rowsMatchSource, sumsMatchSource, unique } from './pipeline/checks.ts';
export { definePipeline, type Pipeline, type PipelineOptions, type RowFunction } from './pipeline/definition.ts';
export { bytes, column, day, file, keyRange, month, region, year } from './pipeline/partition-by.ts';
export { type SqlTransform, sql } from './pipeline/sql.ts';
