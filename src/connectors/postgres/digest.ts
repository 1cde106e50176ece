/**
 * Records hashed by the server, to tell whether two sets of rows are the same without moving them.
 *
 * The digest of rows is their number and the sum of their 64-bit record hashes: it does not depend on their order, and duplicates count.
 * Hashes of two servers can be compared: the extended hash functions are those of partitions by hash, whose rows stay where they are when
 * pg_upgrade brings in a new major version. https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-PARTITION
 */
import { type Connection, quoteName } from './database.ts';
import { bareType, equalMeansSame } from './types.ts';

/** A column whose values are hashed. */
export interface HashedColumn {
  readonly name: string;
  /** Both sides are hashed as values of this type. */
  readonly sqlType: string;
}

/** The sum of the record hashes of a FROM item named `r`. */
export async function readDigest(client: Connection, columns: readonly HashedColumn[], from: string): Promise<string> {
  const hash = recordHash(columns.map((column) => canonical(column, `r.${quoteName(column.name)}`)));
  const { rows } = await client.query<{ digest: string }>(`select coalesce(sum(${hash}), 0)::text as digest from ${from}`);
  return rows[0]?.digest ?? '0';
}

/** The 64-bit hash of a record of canonical values. */
export function recordHash(values: readonly string[]): string {
  return `hash_record_extended(row(${values.join(', ')}), 0)`;
}

/** A value of this type so that equal hashes mean equal bytes. Text depends on the settings of {@link ReadTransaction}. */
export function canonical({ sqlType }: Pick<HashedColumn, 'sqlType'>, value: string): string {
  if (equalMeansSame(sqlType)) return value;
  // Money is written as the locale of its database says.
  if (bareType(sqlType) === 'money') return `${value}::numeric::text collate "C"`;
  // A collation may hold different texts for equal.
  return `${value}::text collate "C"`;
}

/** Asked of two servers, whether their hashes mean the same: servers of another byte order hash differently. */
export const HASH_PROBE = `select ${recordHash([
  '7::smallint',
  '-70000::integer',
  '9007199254740993::bigint',
  'true',
  `'2001-02-03'::date`,
  `'2001-02-03 04:05:06.789'::timestamp`,
  `'2001-02-03 04:05:06.789+00'::timestamptz`,
  `'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid`,
  '7::oid',
  `'\\x00ff'::bytea`,
  `'a longer text, of more than one block'::text collate "C"`,
  'null::text',
])}::text as hash`;
