/** PostgreSQL to PostgreSQL, written as plainly as can be. */
import { definePipeline, keyRange, postgres, sql } from 'sluice';
import { z } from 'zod';
import { orderRow, screen, tidy } from '../order-row.ts';
import { withTax } from '../orders.ts';

const url = process.env.SLUICE_BENCH_SOURCE_URL;
const source = postgres({ url, table: 'orders' });
const append = postgres({ table: 'orders_sluice', mode: 'append', key: ['id'] });
const upsert = postgres({ table: 'orders_sluice', mode: 'upsert', key: ['id'] });

export default [
  definePipeline({ name: 'orders-append', source, target: append }),
  definePipeline({ name: 'orders-append-schema', source, row: orderRow, target: append }),
  definePipeline({ name: 'orders-upsert', source, target: upsert }),
  definePipeline({ name: 'orders-sql', source, transform: sql`${withTax('staging')}`, target: append }),
  definePipeline({
    name: 'orders-function',
    params: z.object({ partition_rows: z.int() }),
    source,
    // Both workers share it.
    partitionBy: ({ partition_rows }) => keyRange('id', partition_rows),
    row: orderRow,
    transform: tidy,
    target: append,
  }),
  definePipeline({
    name: 'orders-costly-function',
    params: z.object({ partition_rows: z.int() }),
    source,
    partitionBy: ({ partition_rows }) => keyRange('id', partition_rows),
    row: orderRow,
    transform: screen,
    target: append,
  }),
  definePipeline({ name: 'one-order', source: postgres({ url, table: 'one_order' }), target: upsert }),
];
