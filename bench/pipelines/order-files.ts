/** The orders from files; a partition is a file, so that both workers share them. */
import { join } from 'node:path';
import { csv, definePipeline, jsonl, parquet, postgres } from 'sluice';
import { orderRow } from '../order-row.ts';
import { ORDER_COLUMNS } from '../orders.ts';

const files = (ending: string) => join(process.env.SLUICE_BENCH_FILES ?? 'files', `orders-*.${ending}`);
const target = postgres({ table: 'orders_sluice', mode: 'append', key: ['id'] });
const sources = {
  csv: csv({ files: files('csv') }),
  jsonl: jsonl({ files: files('jsonl'), columns: ORDER_COLUMNS.map(({ name }) => name) }),
  parquet: parquet({ files: files('parquet') }),
};

export default Object.entries(sources).flatMap(([kind, source]) => [
  definePipeline({ name: `orders-${kind}`, source, target }),
  definePipeline({ name: `orders-${kind}-schema`, source, row: orderRow, target }),
  definePipeline({ name: `orders-${kind}-chunks`, source, target, commit: 'chunk' }),
]);
