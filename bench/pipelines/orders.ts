/** PostgreSQL to PostgreSQL, written as plainly as can be. */
import { definePipeline, postgres } from 'sluice';

const url = process.env.SLUICE_BENCH_SOURCE_URL;
const orders = postgres({ url, table: 'orders' });

export default [
  definePipeline({
    name: 'orders-upsert',
    source: orders,
    target: postgres({ table: 'orders_sluice', mode: 'upsert', key: ['id'] }),
  }),
  definePipeline({
    name: 'orders-append',
    source: orders,
    target: postgres({ table: 'orders_sluice', mode: 'append' }),
  }),
  definePipeline({
    name: 'one-order',
    source: postgres({ url, table: 'one_order' }),
    target: postgres({ table: 'orders_sluice', mode: 'upsert', key: ['id'] }),
  }),
];
