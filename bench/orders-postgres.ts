/** Orders from PostgreSQL to PostgreSQL, against binary COPY piped by psql. */
import type { BenchCase } from './cases.ts';
import { BEFORE, INSERT, MERGE, ORDER_DDL, ORDERS_BY_HAND, ORDERS_OURS, ORDERS_STAGING, withTax } from './orders.ts';
import type { PeerWork } from './peers/peer.ts';
import type { BenchStack } from './stack.ts';

/** Partitions where both workers share the rows. */
const PARTITIONS = 8;
const KEYED = { columns: ORDER_DDL, key: 'id' } as const;
const ADD_KEY = `alter table ${ORDERS_BY_HAND} add primary key (id)`;

const orders = { kind: 'postgres', table: 'orders' } as const;
const WORK = {
  create: { source: orders, mode: 'create' },
  function: { source: orders, mode: 'create', rowFunction: true },
  append: { source: orders, mode: 'append', before: BEFORE.others },
  equal: { source: orders, mode: 'upsert', before: BEFORE.equal },
  changed: { source: orders, mode: 'upsert', before: BEFORE.changed },
  empty: { source: orders, mode: 'upsert' },
} as const satisfies Record<string, PeerWork>;
const withoutUpsert = (work: PeerWork) => ({ dlt: work, pgloader: 'has no upsert' });

/** @param rows of the orders */
export function ordersFromPostgres(stack: BenchStack, rows: number): BenchCase[] {
  const copy = 'copy orders to stdout (format binary)';
  const common = { group: 'PostgreSQL', rows, params: {}, ours: ORDERS_OURS, byHand: ORDERS_BY_HAND } as const;
  const firstLoad: Pick<BenchCase, 'hand' | 'table'> = {
    table: null,
    hand: {
      from: { url: stack.source, copy },
      url: stack.target,
      before: [`create table ${ORDERS_BY_HAND} (${ORDER_DDL})`],
      copy: `copy ${ORDERS_BY_HAND} from stdin (format binary)`,
      after: [ADD_KEY],
    },
  };
  const staged = (...statements: string[]) => stagedByHand(stack, copy, statements);
  const upsert = { ...common, pipeline: 'orders-upsert', hand: staged(MERGE), wanted: { ratio: 1.2 } } as const;
  return [
    { ...common, ...firstLoad, name: 'orders, first load', pipeline: 'orders-append', wanted: { ratio: 1.3 }, peers: WORK.create },
    {
      ...common,
      ...firstLoad,
      name: 'orders, first load, row schema',
      pipeline: 'orders-append-schema',
      wanted: { over: { case: 'orders, first load', ratio: 1.25 } },
      peers: WORK.create,
    },
    {
      ...common,
      ...firstLoad,
      name: 'orders, first load, row function',
      pipeline: 'orders-function',
      params: { partition_rows: Math.ceil(rows / PARTITIONS) },
      wanted: { rowsPerCpuSecond: 250_000 },
      peers: { dlt: WORK.function, pgloader: 'has no row functions' },
    },
    {
      ...common,
      name: 'orders, first load, SQL transform',
      pipeline: 'orders-sql',
      table: null,
      hand: staged(`create table ${ORDERS_BY_HAND} as ${withTax(ORDERS_STAGING)}`, ADD_KEY),
      wanted: {},
      peers: { dlt: 'does not transform in SQL as it loads', pgloader: 'does not transform in SQL as it loads' },
    },
    { ...upsert, name: 'orders, upsert into an equal table', table: { ...KEYED, rows: BEFORE.equal }, peers: withoutUpsert(WORK.equal) },
    { ...upsert, name: 'orders, upsert with 1 % changed', table: { ...KEYED, rows: BEFORE.changed }, peers: withoutUpsert(WORK.changed) },
    { ...upsert, name: 'orders, upsert into an empty table', table: KEYED, peers: withoutUpsert(WORK.empty) },
    {
      ...common,
      name: 'orders, append',
      pipeline: 'orders-append',
      table: { ...KEYED, rows: BEFORE.others },
      hand: staged(INSERT),
      wanted: { ratio: 1.2 },
      peers: WORK.append,
    },
  ];
}

/** Only Sluice does it: with one worker and with two. */
export function costlyFunction(stack: BenchStack, rows: number): BenchCase[] {
  return ordersFromPostgres(stack, rows)
    .filter(({ pipeline }) => pipeline === 'orders-function')
    .map((of) => ({
      ...of,
      group: 'costly',
      name: 'orders, first load, costly row function',
      pipeline: 'orders-costly-function',
      wanted: {},
    }));
}

/** What a run costs that moves next to nothing. */
export function oneOrder(stack: BenchStack): BenchCase {
  return {
    name: 'one row, PostgreSQL',
    group: 'PostgreSQL',
    rows: 1,
    pipeline: 'one-order',
    params: {},
    ours: ORDERS_OURS,
    byHand: ORDERS_BY_HAND,
    table: KEYED,
    hand: stagedByHand(stack, 'copy one_order to stdout (format binary)', [MERGE]),
    wanted: {},
    peers: { dlt: 'not measured', pgloader: 'not measured' },
  };
}

/** Binary COPY into unlogged staging, and on from there. */
function stagedByHand(stack: BenchStack, copy: string, statements: readonly string[]): BenchCase['hand'] {
  return {
    from: { url: stack.source, copy },
    url: stack.target,
    before: [`drop table if exists ${ORDERS_STAGING}`, `create unlogged table ${ORDERS_STAGING} (${ORDER_DDL})`],
    copy: `copy ${ORDERS_STAGING} from stdin (format binary)`,
    after: [...statements, `drop table ${ORDERS_STAGING}`],
  };
}
