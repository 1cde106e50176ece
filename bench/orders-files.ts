/** Orders from files to PostgreSQL, against psql's \copy of the same rows as finished CSV. */
import type { BenchCase } from './cases.ts';
import { BEFORE, INSERT, ORDER_DDL, ORDERS_BY_HAND, ORDERS_OURS, ORDERS_STAGING } from './orders.ts';
import type { OrderFiles } from './orders-data.ts';
import type { PeerWork } from './peers/peer.ts';
import type { BenchStack } from './stack.ts';

const KINDS = { csv: 'CSV', jsonl: 'JSONL', parquet: 'Parquet' } as const;
const WANTED = { csv: { first: 1.3, schema: 1.6 }, jsonl: { first: undefined, schema: undefined }, parquet: { first: 1.3, schema: 1.25 } };
const KEYED = { columns: ORDER_DDL, key: 'id' } as const;

export function ordersFromFiles(stack: BenchStack, rows: number, files: OrderFiles): BenchCase[] {
  const from = { files: files.csv };
  const make = (name: string, pipeline: string, more: Pick<BenchCase, 'hand' | 'table' | 'wanted' | 'peers'>): BenchCase => ({
    ...{ name, group: 'files', rows, pipeline, params: {}, ours: ORDERS_OURS, byHand: ORDERS_BY_HAND },
    ...more,
  });
  const firstLoad = {
    from,
    url: stack.target,
    before: [`drop table if exists ${ORDERS_BY_HAND}`, `create table ${ORDERS_BY_HAND} (${ORDER_DDL})`],
    copy: `copy ${ORDERS_BY_HAND} from stdin (format csv, header)`,
    after: [`alter table ${ORDERS_BY_HAND} add primary key (id)`],
  };
  const staged = {
    from,
    url: stack.target,
    before: [`drop table if exists ${ORDERS_STAGING}`, `create unlogged table ${ORDERS_STAGING} (${ORDER_DDL})`],
    copy: `copy ${ORDERS_STAGING} from stdin (format csv, header)`,
    after: [INSERT, `drop table ${ORDERS_STAGING}`],
  };

  const direct = { from, url: stack.target, before: [], copy: `copy ${ORDERS_BY_HAND} from stdin (format csv, header)`, after: [] };

  const cases: BenchCase[] = [];
  for (const kind of ['csv', 'jsonl', 'parquet'] as const) {
    const first = `orders, ${KINDS[kind]}, first load`;
    const peers = (work: Pick<PeerWork, 'mode' | 'before'>) => {
      const dlt: PeerWork = { source: { kind, files: files[kind] }, ...work };
      return { dlt, pgloader: kind === 'csv' ? dlt : `does not read ${KINDS[kind]}` };
    };
    cases.push(
      make(first, `orders-${kind}`, {
        // Text does not say its types: here the table does, which is there and empty.
        table: kind === 'parquet' ? null : KEYED,
        hand: firstLoad,
        wanted: { ratio: WANTED[kind].first },
        peers: peers({ mode: 'create' }),
      }),
      make(`${first}, row schema`, `orders-${kind}-schema`, {
        table: null,
        hand: firstLoad,
        wanted: WANTED[kind].schema === undefined ? {} : { over: { case: first, ratio: WANTED[kind].schema } },
        peers: peers({ mode: 'create' }),
      }),
    );
    if (kind !== 'csv') continue;
    cases.push(
      make(`orders, CSV, append`, 'orders-csv', {
        table: { ...KEYED, rows: BEFORE.others },
        hand: staged,
        wanted: { ratio: 1.3 },
        peers: peers({ mode: 'append', before: BEFORE.others }),
      }),
      make(`orders, CSV, append by chunk`, 'orders-csv-chunks', {
        table: { ...KEYED, rows: BEFORE.others },
        hand: direct,
        wanted: { ratio: 1.3 },
        peers: peers({ mode: 'append', before: BEFORE.others }),
      }),
    );
  }
  return cases;
}
