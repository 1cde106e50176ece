/** The statements that move the rows of a unit from staging into the target, inside the transaction that commits it. */
import type { PartitionFilter } from '../source.ts';
import type { PostgresTargetConfig } from './config.ts';
import { type Connection, quoteName, quoteTable } from './database.ts';
import { readDigest } from './digest.ts';

export interface LoadColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly notNull: boolean;
}

export interface LoadRequest {
  readonly target: PostgresTargetConfig;
  readonly columns: readonly LoadColumn[];
  /** The rows to load, as a FROM item: a table, or a subquery with an alias. */
  readonly from: string;
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

/**
 * Loads a unit. Loads into one table wait for one another: an advisory lock of the transaction, so that two runs neither deadlock nor
 * insert the same key twice.
 */
export async function loadRows(client: Connection, request: LoadRequest): Promise<LoadResult> {
  const { target } = request;
  const [schema, table] = await schemaAndTable(client, target.table);
  await client.query(`select pg_advisory_xact_lock(hashtextextended('sluice load ' || $1, 0))`, [quoteTable(`${schema}.${table}`)]);
  const created = await createTargetIfMissing(client, request, schema, table);
  let result: LoadResult;
  if (target.mode === 'upsert' && !created) result = await merge(client, request);
  else if (target.mode === 'replace' && !created) result = await replace(client, request);
  else result = await insert(client, request);
  if (created && target.key) await client.query(`alter table ${quoteTable(target.table)} add primary key (${names(target.key)})`);
  return result;
}

/** Where a table is, or would be created: `t` and `public.t` may be one. */
async function schemaAndTable(client: Connection, name: string): Promise<readonly [string, string]> {
  const [table = name, schema] = name.split('.').reverse();
  if (schema !== undefined) return [schema, table];
  const { rows } = await client.query<{ schema: string }>(
    `select coalesce(
       (select p.schema from unnest(current_schemas(true)) with ordinality as p (schema, nth) where ${EXISTS} order by p.nth limit 1),
       current_schema()) as schema`,
    [table],
  );
  return [rows[0]?.schema ?? '', table];
}

/** Asked of the catalog itself: to_regclass may answer from a cache that is older than the wait for another load. */
const EXISTS =
  'exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = p.schema and c.relname = $1)';

/** Creates the table without its key: that is built once the rows are in. */
async function createTargetIfMissing(
  client: Connection,
  { target, columns }: LoadRequest,
  schema: string,
  table: string,
): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(`select ${EXISTS} as exists from (select $2::text as schema) as p`, [
    table,
    schema,
  ]);
  if (rows[0]?.exists) return false;
  const declared = columns.map((column) => `${quoteName(column.name)} ${column.sqlType}${column.notNull ? ' not null' : ''}`);
  await client.query(`create table ${quoteTable(target.table)} (${declared.join(', ')})`);
  return true;
}

async function insert(client: Connection, { target, columns, from }: LoadRequest): Promise<LoadResult> {
  const list = names(columns.map((column) => column.name));
  const { rowCount } = await client.query(`insert into ${quoteTable(target.table)} (${list}) select ${list} from ${from}`);
  return { rowsLoaded: rowCount ?? 0, rowsChanged: rowCount ?? 0 };
}

/**
 * MERGE that leaves rows alone which are equal as a record image (`*<>` compares bytes: `1.0` differs from `1.00`, and json, which
 * has no equality, can be compared). https://www.postgresql.org/docs/current/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON
 */
async function merge(client: Connection, { target, columns, from, rows }: LoadRequest): Promise<LoadResult> {
  const key = target.key ?? [];
  const all = columns.map((column) => column.name);
  const rest = all.filter((name) => !key.includes(name));
  const matched =
    rest.length === 0
      ? ''
      : `when matched and row(${names(rest, 't.')})::record *<> row(${names(rest, 's.')})::record
         then update set ${rest.map((name) => `${quoteName(name)} = s.${quoteName(name)}`).join(', ')}`;
  const { rowCount } = await client.query(
    `merge into ${quoteTable(target.table)} as t using (select ${names(all)} from ${from}) as s
     on ${key.map((name) => `t.${quoteName(name)} = s.${quoteName(name)}`).join(' and ')}
     ${matched}
     when not matched then insert (${names(all)}) values (${names(all, 's.')})`,
  );
  return { rowsLoaded: rows, rowsChanged: rowCount ?? 0 };
}

/** Replaces what is in scope, unless it is already the same rows. */
async function replace(client: Connection, request: LoadRequest): Promise<LoadResult> {
  const { target, columns, from, rows } = request;
  const scope = target.scope === 'table' ? 'true' : anyOf(request.replaces, columns);
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

interface Range {
  readonly column: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** A condition that holds for the rows of these partitions; ranges that touch become one. */
export function anyOf(filters: readonly PartitionFilter[], columns: readonly LoadColumn[]): string {
  const conditions: string[] = [];
  const typeOf = (name: string) => columns.find((column) => column.name === name)?.sqlType ?? 'text';
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
