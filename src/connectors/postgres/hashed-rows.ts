/** One side of a comparison: rows of a table or query, hashed by the server that has them. */
import type { ComparableRows, RowHash, RowsDigest, ShownRow } from '../comparable-rows.ts';
import { quoteName } from './database.ts';
import { canonical, type HashedColumn, recordHash } from './digest.ts';
import type { Queryable } from './types.ts';

export interface HashedRelation {
  /** FROM item named `r`. */
  readonly from: string;
  readonly where: string;
  /** In the same order on both sides, with the value as SQL. */
  readonly columns: readonly (HashedColumn & { readonly value: string })[];
  /** Columns that tell a row apart; empty where there are none. */
  readonly key: readonly string[];
}

const PAGE_ROWS = 20_000;

export class HashedRows implements ComparableRows {
  readonly #transaction: Queryable;
  readonly #relation: HashedRelation;
  readonly #record: string;
  readonly #key: string;

  /** @param transaction one in which all statements see the same rows */
  constructor(transaction: Queryable, relation: HashedRelation) {
    this.#transaction = transaction;
    this.#relation = relation;
    const values = (columns: HashedRelation['columns']) => columns.map((column) => canonical(column, column.value));
    this.#record = recordHash(values(relation.columns));
    const key = relation.columns.filter((column) => relation.key.includes(column.name));
    this.#key = key.length > 0 ? recordHash(values(key)) : this.#record;
  }

  async digest(): Promise<RowsDigest> {
    const { from, where } = this.#relation;
    const [row] = await this.#transaction.query<{ rows: string; hashes: string }>(
      `select count(*) as rows, coalesce(sum(${this.#record}), 0)::text as hashes from ${from} where ${where}`,
    );
    return { rows: Number(row?.rows ?? 0), hashes: row?.hashes ?? '0' };
  }

  async buckets(count: number): Promise<Map<number, RowsDigest>> {
    const { from, where } = this.#relation;
    const rows = await this.#transaction.query<{ bucket: number; rows: string; hashes: string }>(
      `select (${this.#key} & ${count - 1})::int as bucket, count(*) as rows, sum(${this.#record})::text as hashes
       from ${from} where ${where} group by 1`,
    );
    return new Map(rows.map(({ bucket, rows, hashes }) => [bucket, { rows: Number(rows), hashes }]));
  }

  async *hashes(buckets: readonly number[], count: number): AsyncGenerator<readonly RowHash[], void, void> {
    const { from, where } = this.#relation;
    const inside = buckets.length === count ? 'true' : `key & ${count - 1} = any (array[${buckets.join(', ')}]::bigint[])`;
    await this.#transaction.query(
      `declare sluice_hashes no scroll cursor for
       select key, record from (select ${this.#key} as key, ${this.#record} as record from ${from} where ${where}) as hashed
       where ${inside} order by key, record`,
    );
    for (;;) {
      const page = await this.#transaction.query<{ key: string; record: string }>(`fetch ${PAGE_ROWS} from sluice_hashes`);
      if (page.length > 0) yield page.map(({ key, record }) => ({ key: BigInt(key), record: BigInt(record) }));
      if (page.length < PAGE_ROWS) break;
    }
    await this.#transaction.query('close sluice_hashes');
  }

  async show(keys: readonly bigint[], limit: number): Promise<ShownRow[]> {
    const { from, where, columns } = this.#relation;
    const shown = columns.map((column) => `(${canonical(column, column.value)})::text as ${quoteName(column.name)}`);
    const rows = await this.#transaction.query<{ key: string; record: string; values: ShownRow['values'] }>(
      `select ${this.#key} as key, ${this.#record} as record, (select row_to_json(shown) from (select ${shown.join(', ')}) as shown) as values
       from ${from} where (${where}) and ${this.#key} = any ($1::bigint[]) limit ${limit}`,
      [keys.map(String)],
    );
    return rows.map(({ key, record, values }) => ({ key: BigInt(key), record: BigInt(record), values }));
  }
}
