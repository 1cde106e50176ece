/** The orders: their columns, and the statements by which a person loads them. */

/** As psql's `orders.sql` creates them. */
export const ORDER_COLUMNS = [
  { name: 'id', type: 'bigint', nullable: false },
  { name: 'customer_id', type: 'int', nullable: false },
  { name: 'region', type: 'text', nullable: false },
  { name: 'order_date', type: 'date', nullable: false },
  { name: 'status', type: 'text', nullable: false },
  { name: 'amount', type: 'numeric(12,2)', nullable: false },
  { name: 'email', type: 'text', nullable: true },
  { name: 'note', type: 'text', nullable: true },
  { name: 'updated_at', type: 'timestamptz', nullable: false },
] as const;

/** The same, as in CREATE TABLE. */
export const ORDER_DDL = ORDER_COLUMNS.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '' : ' not null'}`).join(', ');

export const ORDERS_OURS = 'orders_sluice';
export const ORDERS_BY_HAND = 'orders_by_hand';
export const ORDERS_STAGING = 'orders_staging';

const NAMES = ORDER_COLUMNS.map(({ name }) => name);
const REST = NAMES.filter((name) => name !== 'id');

const list = (names: readonly string[], prefix = '') => names.map((name) => prefix + name).join(', ');

export const ORDER_NAMES = list(NAMES);

/** MERGE that leaves equal rows alone: the fastest upsert found. (Analyzing staging first, comparing whole rows or record images: all slower.) */
export const MERGE = `merge into ${ORDERS_BY_HAND} as t using ${ORDERS_STAGING} as s on t.id = s.id
  when matched and (${list(REST, 't.')}) is distinct from (${list(REST, 's.')})
    then update set ${REST.map((name) => `${name} = s.${name}`).join(', ')}
  when not matched then insert (${list(NAMES)}) values (${list(NAMES, 's.')})`;

export const INSERT = `insert into ${ORDERS_BY_HAND} select * from ${ORDERS_STAGING}`;

/** What the SQL transform of the bench's pipeline selects, there from `staging`. */
export const withTax = (from: string) =>
  `select id, customer_id, region, order_date, status, amount, round(amount * 0.19, 2) as tax, email, note, updated_at from ${from}`;

/** The rows that a table holds before a measurement. */
export const BEFORE = {
  equal: `select ${ORDER_NAMES} from orders`,
  /** One order in a hundred as it was before its amount was corrected. */
  changed: `select ${ORDER_NAMES.replace('amount', 'case when id % 100 = 0 then amount + 1 else amount end')} from orders`,
  /** A tenth as many rows as arrive, none of them among those. */
  others: `select ${ORDER_NAMES.replace('id', 'id + 1000000000')} from orders where id % 10 = 0`,
} as const;
