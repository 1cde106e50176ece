/**
 * A first load is built beside its target and swapped in: rows are written once, keys and indexes come last, and readers see the old,
 * empty table until the commit. Only where nobody could tell the new table from the old one by anything but its rows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { PostgresTargetConfig } from './config.ts';
import { type Connection, quoteName, quoteTable } from './database.ts';
import { LOCK_NOT_AVAILABLE, sqlState } from './errors.ts';
import { declareColumns, type TargetPlace, targetPlace } from './load.ts';
import type { LoadColumn } from './load-column.ts';

/** Where a table is built that will take the target's place. */
export interface Beside {
  /** The table that is built, quoted. */
  readonly table: string;
  /** Oid of the empty table that it replaces; null where there is none yet. */
  readonly replaces: string | null;
}

/** How long the swap waits for readers, a moment at a time, so that nobody queues up behind it for long. */
const LOCK_WAIT_MS = 500;
const LOCK_PAUSE_MS = 200;
const LOCK_TRIES = 10;

type Queries = Pick<Connection, 'query'>;

/**
 * Why the rows cannot be built beside the target and swapped in; null where they can.
 *
 * @param replaces oid of the target; null where it does not exist
 */
export async function whyNotSwapped(client: Queries, config: PostgresTargetConfig, replaces: string | null): Promise<string | null> {
  if (config.swap === 'never') return `the pipeline says swap: 'never'`;
  const { schema } = await targetPlace(client, config.table);
  const around = await client.query<{ why: string | null }>(
    `select case
       when exists (select from pg_default_acl where defaclobjtype = 'r' and defaclrole = current_user::regrole
                      and (defaclnamespace = 0 or defaclnamespace = to_regnamespace($1)::oid))
         then 'new tables get default privileges'
       when exists (select from pg_publication where puballtables)
         or exists (select from pg_publication_namespace where pnnspid = to_regnamespace($1)::oid)
         then 'its schema is part of a publication'
     end as why`,
    [quoteName(schema)],
  );
  const why = around.rows[0]?.why ?? null;
  if (why !== null || replaces === null) return why;
  const hanging = await client.query<{ why: string | null }>(WHAT_HANGS_ON_IT, [replaces, config.key ?? []]);
  if (!hanging.rows[0]) return 'the table is not there any more';
  if (hanging.rows[0].why !== null) return hanging.rows[0].why;
  const filled = await client.query(`select from ${quoteTable(config.table)} limit 1`);
  return filled.rowCount === 0 ? null : 'the table is not empty';
}

/** What a new table in its place would not have, or would take away from others. */
const WHAT_HANGS_ON_IT = `
  select case
    when c.relkind = 'p' then 'the table is partitioned'
    when c.relkind <> 'r' then 'it is no ordinary table'
    when c.relispartition or exists (select from pg_inherits where inhrelid = c.oid or inhparent = c.oid) then 'the table inherits or is inherited from'
    when c.relowner <> current_user::regrole then format('the table belongs to role "%s"', pg_get_userbyid(c.relowner))
    when not has_schema_privilege(c.relnamespace, 'CREATE') then 'the role may not create tables in its schema'
    when c.relpersistence <> 'p' then 'the table is unlogged or temporary'
    when c.relacl is not null or exists (select from pg_attribute where attrelid = c.oid and attacl is not null) then 'there are grants on the table'
    when c.relrowsecurity or c.relforcerowsecurity or exists (select from pg_policy where polrelid = c.oid) then 'the table has row security'
    when exists (select from pg_trigger where tgrelid = c.oid and not tgisinternal) then 'the table has triggers'
    when exists (select from pg_rewrite where ev_class = c.oid) then 'the table has rules'
    when exists (select from pg_constraint where confrelid = c.oid) then 'foreign keys refer to the table'
    when exists (select from pg_constraint where conrelid = c.oid and (contype not in ('p', 'u', 'n') or condeferrable or not convalidated or (contype = 'n' and connoinherit)))
      then 'the table has constraints other than keys'
    when exists (select from pg_publication_rel where prrelid = c.oid) then 'the table is part of a publication'
    when exists (select from pg_subscription_rel where srrelid = c.oid) then 'a subscription writes to the table'
    when c.reloftype <> 0 then 'the table is of a type'
    when exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype in ('e', 'x')) then 'the table belongs to an extension'
    when exists (select from pg_depend where refclassid = 'pg_class'::regclass and refobjid = c.oid and deptype = 'n')
      or exists (select from pg_depend where refclassid = 'pg_type'::regclass and refobjid = c.reltype and deptype = 'n')
      then 'a view or a function depends on the table'
    when exists (select from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped and (attidentity <> '' or attgenerated <> ''))
      then 'the table has identity or generated columns'
    when exists (select from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
                 where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid)
      then 'the table owns a sequence'
    when exists (select from pg_description where classoid = 'pg_class'::regclass and (objoid = c.oid or objoid in (select indexrelid from pg_index where indrelid = c.oid)))
      or exists (select from pg_description where classoid = 'pg_constraint'::regclass and objoid in (select oid from pg_constraint where conrelid = c.oid))
      then 'there are comments on the table'
    when exists (select from pg_seclabel where classoid = 'pg_class'::regclass and objoid = c.oid) then 'the table has security labels'
    when exists (select from pg_statistic_ext where stxrelid = c.oid)
      or exists (select from pg_attribute where attrelid = c.oid and attnum > 0 and (coalesce(attstattarget, -1) <> -1 or attoptions is not null))
      then 'the table has statistics settings'
    when c.reloptions is not null or exists (select from pg_class t where t.oid = c.reltoastrelid and t.reloptions is not null) or c.reltablespace <> 0 or c.relreplident <> 'd'
      or c.relam <> (select oid from pg_am where amname = current_setting('default_table_access_method'))
      then 'the table has storage settings'
    when exists (select from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = c.oid
                   and (not i.indisvalid or i.indisexclusion or i.indisclustered or i.indisreplident or x.reloptions is not null or x.reltablespace <> 0
                        or exists (select from pg_attribute a where a.attrelid = x.oid and coalesce(a.attstattarget, -1) <> -1)))
      then 'an index of the table has settings'
    when exists (select from unnest($2::text[]) as k (name) join pg_attribute a on a.attrelid = c.oid and a.attname = k.name where not a.attnotnull)
      then 'columns of the key may be null'
  end as why
  from pg_class c where c.oid = $1::oid`;

/** Creates the table that is built, without keys and indexes, in the transaction of the plan, which has no lock timeout of its own. */
export async function createBeside(
  client: Connection,
  beside: Beside,
  config: PostgresTargetConfig,
  columns: readonly LoadColumn[],
): Promise<void> {
  const declared = beside.replaces
    ? `like ${quoteTable(config.table)} including defaults including storage including compression`
    : declareColumns(columns);
  await client.query(
    `set local lock_timeout = 10000; create table ${beside.table} (${declared}) with (autovacuum_enabled = false); set local lock_timeout = 0`,
  );
}

/** Sorting takes more memory at once and less time; for this statement only. */
const SORT_MEMORY = '256MB';

/**
 * Builds the keys and indexes: those of the table that is replaced, or the primary key. Nothing where they are there.
 *
 * @throws pg.DatabaseError (23505) where rows have the same key
 */
export async function buildKeys(client: Connection, beside: Beside, config: PostgresTargetConfig): Promise<void> {
  const built = await client.query('select from pg_index where indrelid = $1::regclass', [beside.table]);
  if (built.rowCount) return;
  await client.query(
    `select set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')), pg_size_bytes($1)) / 1024 || 'kB', true)`,
    [SORT_MEMORY],
  );
  if (beside.replaces === null) {
    if (config.key) await client.query(`alter table ${beside.table} add primary key (${config.key.map(quoteName).join(', ')})`);
    return;
  }
  const [, name = ''] = /\."?([^"]+)"?$/.exec(beside.table) ?? [];
  for (const [nth, index] of (await indexesOf(client, beside.replaces)).entries()) {
    const own = quoteName(`${name}_${nth}`);
    await client.query(`create ${index.unique ? 'unique ' : ''}index ${own} on ${beside.table} ${index.definition}`);
    if (index.kind) await client.query(`alter table ${beside.table} add ${KEY_WORDS[index.kind]} using index ${own}`);
  }
}

const KEY_WORDS = { p: 'primary key', u: 'unique' } as const;

interface Index {
  readonly name: string;
  readonly unique: boolean;
  /** From the word USING on. */
  readonly definition: string;
  /** Of the constraint that it carries. */
  readonly kind: 'p' | 'u' | null;
}

/** In the order in which they were made. */
async function indexesOf(client: Queries, table: string): Promise<Index[]> {
  const { rows } = await client.query<Index>(
    `select x.relname::text as name, i.indisunique as unique, k.contype::text as kind,
            substr(pg_get_indexdef(x.oid), length(format('CREATE %sINDEX %I ON %I.%I ',
              case when i.indisunique then 'UNIQUE ' end, x.relname, n.nspname, t.relname)) + 1) as definition
     from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
     left join pg_constraint k on k.conindid = x.oid and k.conrelid = t.oid and k.contype in ('p', 'u')
     where i.indrelid = $1::oid order by x.oid`,
    [table],
  );
  return rows;
}

/**
 * Puts the built table in the place of its target, for whoever looks after the commit. False where that is not possible (any more):
 * somebody wrote to the target or changed it since the plan, or readers hold it without end. Nothing was changed then.
 *
 * @param client in the transaction that commits, which holds the lock of loads into this target
 */
export async function swapIn(client: Connection, beside: Beside, config: PostgresTargetConfig, place: TargetPlace): Promise<boolean> {
  if (place.oid !== beside.replaces) return false;
  if (place.oid !== null && !(await lockExclusively(client, config.table))) return false;
  if ((await whyNotSwapped(client, config, beside.replaces)) !== null) return false;
  const ours = await client.query<{ oid: string }>('select $1::regclass::oid::text as oid', [beside.table]);
  const oid = ours.rows[0]?.oid ?? '';
  const built = await indexesOf(client, oid);
  const names = place.oid === null ? [] : await indexesOf(client, place.oid);
  if (place.oid !== null && !sameIndexes(names, built)) return false;
  if (place.oid !== null && !isDeepStrictEqual(await columnsOf(client, place.oid), await columnsOf(client, oid))) return false;
  const constraints = place.oid === null ? [] : await notNullsOf(client, place.oid);

  const [schema, table] = [quoteName(place.schema), quoteName(place.table)];
  if (place.oid !== null) await client.query(`drop table ${schema}.${table}`);
  const [ownSchema = ''] = beside.table.split('.');
  await client.query(`alter table ${beside.table} reset (autovacuum_enabled)`);
  await client.query(`alter table ${beside.table} rename to ${table}`);
  await client.query(`alter table ${ownSchema}.${table} set schema ${schema}`);
  for (const [nth, index] of built.entries()) {
    const name = names[nth]?.name ?? (await freeName(client, place));
    await client.query(`alter index ${schema}.${quoteName(index.name)} rename to ${quoteName(name)}`);
  }
  await renameNotNulls(client, oid, place, constraints);
  return true;
}

async function lockExclusively(client: Connection, table: string): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    await client.query(`savepoint swap; set local lock_timeout = ${LOCK_WAIT_MS}`);
    try {
      await client.query(`lock table ${quoteTable(table)} in access exclusive mode`);
      await client.query('set local lock_timeout = 10000; release savepoint swap');
      return true;
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
      await client.query('rollback to savepoint swap; release savepoint swap');
      if (tries >= LOCK_TRIES) return false;
      await delay(LOCK_PAUSE_MS);
    }
  }
}

function sameIndexes(a: readonly Index[], b: readonly Index[]): boolean {
  const same = (one: Index, other: Index | undefined) =>
    one.definition === other?.definition && one.unique === other.unique && one.kind === other.kind;
  return a.length === b.length && a.every((index, nth) => same(index, b[nth]));
}

/** What the catalog says of each column, in their order: all that CREATE TABLE LIKE takes over, and that somebody may have changed since. */
async function columnsOf(client: Queries, table: string): Promise<string[]> {
  const { rows } = await client.query<{ said: string }>(
    `select row(a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attstorage, a.attcompression, pg_get_expr(d.adbin, d.adrelid))::text as said
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [table],
  );
  return rows.map(({ said }) => said);
}

/** Name of a primary key's index as PostgreSQL would choose it. */
async function freeName(client: Connection, { schema, table }: TargetPlace): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select left($1, 55) || '_pkey' || n as name from (select '' as n, 0 as nth union all select nth::text, nth from generate_series(1, 1000) as nth) as numbers
     where not exists (select from pg_class c where c.relnamespace = to_regnamespace($2)::oid and c.relname = left($1, 55) || '_pkey' || n)
     order by nth limit 1`,
    [table, quoteName(schema)],
  );
  return rows[0]?.name ?? `${table}_pkey`;
}

interface NotNull {
  readonly name: string;
  readonly column: string;
}

/** NOT NULL constraints have names of their own from PostgreSQL 18 on. */
async function notNullsOf(client: Connection, table: string): Promise<NotNull[]> {
  const { rows } = await client.query<NotNull>(
    `select k.conname::text as name, a.attname::text as column from pg_constraint k
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1] where k.conrelid = $1::oid and k.contype = 'n'`,
    [table],
  );
  return rows;
}

async function renameNotNulls(client: Connection, oid: string, place: TargetPlace, before: readonly NotNull[]): Promise<void> {
  for (const { name, column } of await notNullsOf(client, oid)) {
    const wanted = before.find((each) => each.column === column)?.name ?? `${place.table}_${column}_not_null`;
    if (wanted === name || Buffer.byteLength(wanted) > 63) continue;
    await client.query(
      `alter table ${quoteName(place.schema)}.${quoteName(place.table)} rename constraint ${quoteName(name)} to ${quoteName(wanted)}`,
    );
  }
}
