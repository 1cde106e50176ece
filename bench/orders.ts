/** Orders from PostgreSQL to PostgreSQL, against binary COPY piped by psql and MERGE or INSERT. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchCase } from './cases.ts';
import { execute } from './database.ts';
import { type BenchStack, ROOT } from './stack.ts';

const COLUMNS = `id bigint not null, customer_id int not null, region text not null, order_date date not null, status text not null,
  amount numeric(12,2) not null, email text, note text, updated_at timestamptz not null`;
const NAMES = ['id', 'customer_id', 'region', 'order_date', 'status', 'amount', 'email', 'note', 'updated_at'];
const REST = NAMES.filter((name) => name !== 'id');

const list = (names: readonly string[], prefix = '') => names.map((name) => prefix + name).join(', ');

/** MERGE that leaves equal rows alone: the fastest upsert found. (Analyzing staging first, comparing whole rows or record images: all slower.) */
const MERGE = `merge into orders_by_hand as t using orders_staging as s on t.id = s.id
  when matched and (${list(REST, 't.')}) is distinct from (${list(REST, 's.')})
    then update set ${REST.map((name) => `${name} = s.${name}`).join(', ')}
  when not matched then insert (${list(NAMES)}) values (${list(NAMES, 's.')})`;
const INSERT = 'insert into orders_by_hand select * from orders_staging';

/** One order in a hundred as it was before its amount was corrected. */
const CHANGED = `select ${list(NAMES).replace('amount', 'case when id % 100 = 0 then amount + 1 else amount end')} from orders`;

/** The one-row case is the first. */
export async function ordersCases(stack: BenchStack, rows: number): Promise<{ overhead: BenchCase; cases: BenchCase[] }> {
  const generate = (await readFile(join(ROOT, 'bench/orders.sql'), 'utf8')).replaceAll(':rows', String(rows));
  // In the target's database too: what its tables are filled with, and what has to arrive.
  for (const url of [stack.source, stack.target]) await execute(url, generate, 'vacuum (analyze) orders');
  await execute(
    stack.source,
    'create table one_order (like orders including all)',
    'insert into one_order select * from orders limit 1',
    'vacuum (analyze) one_order',
  );

  const make = (
    name: string,
    pipeline: string,
    statement: string,
    options: { rows?: number; before?: string; from?: string } = {},
  ): BenchCase => ({
    name,
    group: 'orders',
    rows: options.rows ?? rows,
    pipeline,
    params: {},
    ours: 'orders_sluice',
    byHand: 'orders_by_hand',
    table: { columns: COLUMNS, key: 'id', rows: options.before },
    hand: {
      from: { url: stack.source, copy: `copy ${options.from ?? 'orders'} to stdout (format binary)` },
      url: stack.target,
      before: ['drop table if exists orders_staging', `create unlogged table orders_staging (${COLUMNS})`],
      copy: 'copy orders_staging from stdin (format binary)',
      after: [statement, 'drop table orders_staging'],
    },
  });
  return {
    overhead: make('one row, PostgreSQL', 'one-order', MERGE, { rows: 1, from: 'one_order' }),
    cases: [
      make('orders, upsert into an empty table', 'orders-upsert', MERGE),
      make('orders, upsert into an equal table', 'orders-upsert', MERGE, { before: 'select * from orders' }),
      make('orders, upsert with 1 % changed', 'orders-upsert', MERGE, { before: CHANGED }),
      make('orders, append', 'orders-append', INSERT),
    ],
  };
}
