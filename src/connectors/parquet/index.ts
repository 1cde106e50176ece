export { type ParquetConfig, type ParquetOptions, parquet, parquetConfig } from './config.ts';
export { createParquetSource } from './source.ts';
