/** The statements that move the rows of a unit from staging into the target, inside the transaction that commits it. */
import { PermanentError } from '../../errors.ts';
import type { PartitionFilter } from '../source.ts';
import type { PostgresTargetConfig } from './config.ts';
import { type Connection, quoteName, quoteTable } from './database.ts';
import { readDigest } from './digest.ts';
import type { LoadColumn } from './load-column.ts';
import { storablePartitions } from './partition-values.ts';
import { equalMeansSame, withoutLength } from './types.ts';

export interface LoadRequest {
  readonly target: PostgresTargetConfig;
  readonly columns: readonly LoadColumn[];
  /** The rows to load, as a FROM item with the alias `s`. */
  readonly from: string;
  /** Name of a table that may be made on the way, quoted. */
  readonly differing: string;
  /** How many they are. */
  readonly rows: number;
  /** For `replace` with scope `partition`: the partitions that the unit loads. */
  readonly replaces: readonly PartitionFilter[];
}

export interface LoadResult {
  readonly rowsLoaded: number;
  /** Rows inserted, updated or deleted; zero where the target was already as it should be. */
  readonly rowsChanged: number;
}

/** Where the target is, or would be created: `t` and `public.t` may be one. */
export interface TargetPlace {
  readonly schema: string;
  readonly table: string;
  /** Null where it does not exist. */
  readonly oid: string | null;
}

/**
 * Loads into one table wait for one another: an advisory lock of the transaction, so that two runs neither deadlock nor insert the same
 * key twice.
 */
export async function lockTarget(client: Connection, table: string): Promise<TargetPlace> {
  const place = await targetPlace(client, table);
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [nameOfLock(quoteTable(`${place.schema}.${place.table}`))]);
  // What was found before the wait may be old.
  return await targetPlace(client, table);
}

/** @param table with its schema, quoted */
export function nameOfLock(table: string): string {
  return `sluice load ${table}`;
}

/** Asked of the catalog itself: to_regclass may answer from a cache that is older than the wait for another load. */
export async function targetPlace(client: Pick<Connection, 'query'>, name: string): Promise<TargetPlace> {
  const [table = name, schema = null] = name.split('.').reverse();
  const { rows } = await client.query<{ schema: string; oid: string | null }>(
    `with found as (
       select n.nspname::text as schema, c.oid::text as oid, p.nth
       from unnest(case when $2::text is null then current_schemas(true)::text[] else array[$2] end) with ordinality as p (schema, nth)
       join pg_namespace n on n.nspname = p.schema join pg_class c on c.relnamespace = n.oid and c.relname = $1
       order by p.nth limit 1
     )
     select coalesce(found.schema, $2, current_schema()) as schema, found.oid from (select) as one left join found on true`,
    [table, schema],
  );
  return { schema: rows[0]?.schema ?? '', table, oid: rows[0]?.oid ?? null };
}

/** Loads a unit into the target, which is created where it is missing. */
export async function loadRows(client: Connection, request: LoadRequest, place: TargetPlace): Promise<LoadResult> {
  const { target } = request;
  const created = place.oid === null;
  if (created) await createTarget(client, request);
  let result: LoadResult;
  if (target.mode === 'upsert' && !created) result = await upsert(client, request);
  else if (target.mode === 'replace' && !created) result = await replace(client, request);
  else result = await insert(client, request);
  if (created && target.key) await client.query(`alter table ${quoteTable(target.table)} add primary key (${names(target.key)})`);
  return result;
}

/** Without its key: that is built once the rows are in. */
async function createTarget(client: Connection, { target, columns }: LoadRequest): Promise<void> {
  await client.query(`create table ${quoteTable(target.table)} (${declareColumns(columns)})`);
}

/** The columns of a table that Sluice creates, as CREATE TABLE has them. */
export function declareColumns(columns: readonly LoadColumn[]): string {
  return columns.map((column) => `${quoteName(column.name)} ${column.sqlType}${column.notNull ? ' not null' : ''}`).join(', ');
}

async function insert(client: Connection, { target, columns, from }: LoadRequest): Promise<LoadResult> {
  const list = names(columns.map((column) => column.name));
  const { rowCount } = await client.query(`insert into ${quoteTable(target.table)} (${list}) select ${list} from ${from}`);
  return { rowsLoaded: rowCount ?? 0, rowsChanged: rowCount ?? 0 };
}

/**
 * Inserts and updates by key, and leaves rows alone that are as they should be. Where most keys may be there already, the rows that differ are
 * looked for first: that is a join that only reads, which the server does on several processors, and MERGE is not.
 */
async function upsert(client: Connection, request: LoadRequest): Promise<LoadResult> {
  const { target, rows, differing } = request;
  const { rows: found } = await client.query<{ estimate: number }>(
    `select case when reltuples >= 0 then reltuples else pg_relation_size(oid) / ${USUAL_ROW_BYTES} end::float8 as estimate
     from pg_class where oid = to_regclass($1)`,
    [quoteTable(target.table)],
  );
  const estimate = found[0]?.estimate ?? 0;
  if (rows < LOOK_FIRST_FROM || estimate < rows / 2) return { rowsLoaded: rows, rowsChanged: await merge(client, request, request.from) };

  const { columns, from } = request;
  const key = target.key ?? [];
  const all = names(
    columns.map((column) => column.name),
    's.',
  );
  await client.query('set local parallel_tuple_cost = 0');
  await client.query(
    `create unlogged table ${differing} as
     select ${all} from ${from} left join ${quoteTable(target.table)} as t on ${sameKey(key)}
     where t.${quoteName(key[0] ?? '')} is null${differs(request, ' or ')}`,
  );
  const rowsChanged = await merge(client, request, `${differing} as s`);
  await client.query(`drop table ${differing}`);
  return { rowsLoaded: rows, rowsChanged };
}

/** Fewer rows than this are merged as they are. */
const LOOK_FIRST_FROM = 10_000;
/** For the estimate of a table that was never analyzed. */
const USUAL_ROW_BYTES = 128;

async function merge(client: Connection, request: LoadRequest, from: string): Promise<number> {
  const { target, columns } = request;
  const key = target.key ?? [];
  const all = columns.map((column) => column.name);
  const rest = all.filter((name) => !key.includes(name));
  const matched =
    rest.length === 0
      ? ''
      : `when matched${differs(request, ' and ')}
         then update set ${rest.map((name) => `${quoteName(name)} = s.${quoteName(name)}`).join(', ')}`;
  const { rowCount } = await client.query(
    `merge into ${quoteTable(target.table)} as t using ${from}
     on ${sameKey(key)}
     ${matched}
     when not matched then insert (${names(all)}) values (${names(all, 's.')})`,
  );
  return rowCount ?? 0;
}

function sameKey(key: readonly string[]): string {
  return key.map((name) => `t.${quoteName(name)} = s.${quoteName(name)}`).join(' and ');
}

/**
 * A condition that holds where the other columns of `s` are not exactly those of `t`: as typed values where their equality is that of what
 * they show, all others as a record image (`*<>` compares bytes: `1.0` differs from `1.00`, and json, which has no equality, can be compared).
 * https://www.postgresql.org/docs/current/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON
 */
function differs({ target, columns }: LoadRequest, joint: string): string {
  const rest = columns.filter((column) => !target.key?.includes(column.name));
  const typed = rest.filter(({ sqlType }) => equalMeansSame(sqlType) || TEXTUAL.test(sqlType));
  const others = rest.filter((column) => !typed.includes(column)).map(({ name }) => name);
  const conditions = typed.map(({ name, sqlType }) => {
    const collation = TEXTUAL.test(sqlType) ? ' collate "C"' : '';
    return `t.${quoteName(name)} is distinct from s.${quoteName(name)}${collation}`;
  });
  if (others.length > 0) conditions.push(`row(${names(others, 't.')})::record *<> row(${names(others, 's.')})::record`);
  return conditions.length > 0 ? `${joint}(${conditions.join(' or ')})` : '';
}

/** A collation may hold different texts for equal; "C" does not. */
const TEXTUAL = /^(text|character varying(\(\d+\))?)$/;

/** Replaces what is in scope, unless it is already the same rows. */
async function replace(client: Connection, request: LoadRequest): Promise<LoadResult> {
  const { target, columns, from, rows } = request;
  const scope = target.scope === 'table' ? 'true' : anyOf(await storablePartitions(client, request.replaces, columns), columns);
  if (scope !== 'true') await requireWithin(client, request, scope);
  const there = `${quoteTable(target.table)} as r where ${scope}`;
  const counted = await client.query<{ rows: string }>(`select count(*) as rows from ${there}`);
  const old = Number(counted.rows[0]?.rows ?? 0);
  if (old > 0) {
    const fresh = `(select ${names(columns.map((column) => column.name))} from ${from}) as r`;
    if (old === rows && (await readDigest(client, columns, there)) === (await readDigest(client, columns, fresh))) {
      return { rowsLoaded: rows, rowsChanged: 0 };
    }
    // DELETE, not TRUNCATE: readers go on seeing the old rows until the commit.
    await client.query(`delete from ${there}`);
  }
  const inserted = await insert(client, request);
  return { rowsLoaded: inserted.rowsLoaded, rowsChanged: inserted.rowsChanged + old };
}

/**
 * What is inserted must be what the next run of the same partitions would delete; else rows are left behind, or there twice.
 *
 * @throws PermanentError `OutsidePartition`
 */
async function requireWithin(client: Connection, { target, columns, from, replaces }: LoadRequest, scope: string): Promise<void> {
  const by = [...new Set(replaces.flatMap((filter) => ('column' in filter ? [filter.column] : [])))].filter((name) =>
    columns.some((column) => column.name === name),
  );
  const shown = by.length === 0 ? `''` : `concat_ws(', ', ${by.map((name) => `coalesce(${quoteName(name)}::text, 'null')`).join(', ')})`;
  const { rows } = await client.query<{ rows: string; example: string }>(
    `select count(*) as rows, min(${shown}) as example from ${from} where (${scope}) is not true`,
  );
  const outside = Number(rows[0]?.rows ?? 0);
  if (outside === 0) return;
  const place = by.map((name) => `"${name}"`).join(', ');
  throw new PermanentError(
    'OutsidePartition',
    `table "${target.table}": ${outside} rows lie outside of the partitions that they were read in, as one whose ${place} is stored as ${rows[0]?.example}. ` +
      `With scope: 'partition' they would be left behind, or be there twice, after the next run. A transform must leave ${place} as it is; text with a time zone ` +
      `needs a column with one (timestamptz), or z.date() in the row schema. Or replace the whole table (scope: 'table'). Nothing was changed.`,
  );
}

interface Range {
  readonly column: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** A condition that holds for the rows of these partitions; ranges that touch become one. */
export function anyOf(filters: readonly PartitionFilter[], columns: readonly LoadColumn[]): string {
  const conditions: string[] = [];
  // Without its length, which would cut a value that is longer, and so name another partition.
  const typeOf = (name: string) => withoutLength(columns.find((column) => column.name === name)?.sqlType ?? 'text');
  const literal = (value: string, column: string) => `${quoteValue(value)}::${typeOf(column)}`;

  const ranges = filters.filter((filter) => filter.kind === 'between');
  const close = (open: Range | null) => {
    if (!open) return;
    const column = quoteName(open.column);
    const bounds = [
      open.from === null ? `${column} is not null` : `${column} >= ${literal(open.from, open.column)}`,
      open.to === null ? 'true' : `${column} < ${literal(open.to, open.column)}`,
    ];
    conditions.push(`(${bounds.join(' and ')})`);
  };
  let open: Range | null = null;
  for (const range of ranges) {
    if (open !== null && open.to !== null && open.to === range.from) open = { column: open.column, from: open.from, to: range.to };
    else {
      close(open);
      open = range;
    }
  }
  close(open);

  const values = filters.filter((filter) => filter.kind === 'equals');
  const column = values[0]?.column;
  if (column !== undefined) {
    const present = values.flatMap((filter) => (filter.value === null ? [] : [quoteValue(filter.value)]));
    if (present.length > 0) conditions.push(`${quoteName(column)} = any (array[${present.join(', ')}]::${typeOf(column)}[])`);
    if (values.some((filter) => filter.value === null)) conditions.push(`${quoteName(column)} is null`);
  }
  if (filters.some((filter) => filter.kind === 'all')) return 'true';
  return conditions.length > 0 ? conditions.join(' or ') : 'false';
}

function quoteValue(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function names(columns: readonly string[], prefix = ''): string {
  return columns.map((name) => prefix + quoteName(name)).join(', ');
}
