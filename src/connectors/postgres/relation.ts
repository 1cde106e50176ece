/** What a source reads: a table (or view) or a query, with its columns, and what the role may read of it. */
import { PermanentError } from '../../errors.ts';
import type { PostgresSourceConfig } from './config.ts';
import { type Database, quoteName, quoteTable } from './database.ts';
import type { ReadTransaction } from './read-transaction.ts';
import { requireSchemaGrants, schemaOf } from './schema-grants.ts';
import { type PostgresColumn, queryColumns, tableColumns } from './types.ts';

export interface Relation {
  /** As a FROM item. */
  readonly from: string;
  /** What it is, for people: `table "orders"`, `the query`. */
  readonly label: string;
  readonly columns: readonly PostgresColumn[];
  /** Columns to read it in order by; empty where there is no key. */
  readonly key: readonly string[];
  /** Bytes of a row by the statistics; null where there are none. */
  readonly rowBytes: number | null;
  /** Rows by the statistics, and by how the table has grown since. */
  readonly rowsEstimated: number | null;
  /** Pages that the table has now, where TABLESAMPLE can take some of them; null for all else. */
  readonly pages: number | null;
  /** To be locked by name before a snapshot is taken; null for what cannot be. */
  readonly lock: string | null;
}

interface TableRow {
  readonly oid: number | null;
  readonly kind: string;
  readonly readable: boolean;
  readonly lockable: boolean;
  readonly role: string;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly pages: number | null;
  readonly key: string[] | null;
}

/**
 * Looks the table or query up.
 * @throws PermanentError `MissingTable`, `MissingGrant`, `MissingColumn`
 */
export async function readRelation(transaction: ReadTransaction, database: Database, config: PostgresSourceConfig): Promise<Relation> {
  const relation =
    config.table === undefined
      ? await readQuery(transaction, config.query ?? '')
      : await readTable(transaction, database.label, config.table);
  const key = config.key ?? relation.key;
  for (const name of key) columnOf({ ...relation, key }, name, database.label);
  return { ...relation, key };
}

async function readQuery(transaction: ReadTransaction, text: string): Promise<Relation> {
  const query = text.replace(/[;\s]+$/, '');
  const fields = await transaction.fields(query);
  const columns = await queryColumns(transaction, fields);
  // The line break ends a comment at the end of the query.
  return {
    from: `(${query}\n) as query`,
    label: 'the query',
    columns,
    key: [],
    rowBytes: null,
    rowsEstimated: null,
    pages: null,
    lock: null,
  };
}

async function readTable(transaction: ReadTransaction, where: string, table: string): Promise<Relation> {
  const schema = schemaOf(table);
  if (schema !== null) await requireSchemaGrants(transaction, where, schema, ['USAGE']);
  const [found] = await transaction.query<TableRow>(
    `select c.oid::int8::float8 as oid, c.relkind as kind, current_user::text as role,
            has_any_column_privilege(c.oid, 'SELECT') as readable, has_table_privilege(c.oid, 'SELECT') as lockable,
            s.rows, s.bytes / s.rows as bytes,
            case when s.rows > 0 and not c.relhassubclass and (select a.amname from pg_am a where a.oid = c.relam) = 'heap'
              then s.pages end as pages,
            (select array_agg(a.attname::text order by k.place)
             from pg_index i, unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k (attnum, place), pg_attribute a
             where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.attnum) as key
     from (select to_regclass($1) as reg) as t left join pg_class c on c.oid = t.reg
     -- As the planner does it: as many rows a page as when they were counted.
     left join lateral (
       select now.pages, now.pages * c.reltuples / c.relpages as rows, pg_table_size(c.oid)::float8 as bytes
       from (select pg_relation_size(c.oid)::float8 / current_setting('block_size')::float8 as pages) as now
       where c.relkind in ('r', 'm') and c.reltuples > 0 and c.relpages > 0 and now.pages > 0
     ) as s on true`,
    [quoteTable(table)],
  );
  if (!found || found.oid === null) throw await missingTable(transaction, where, table);
  if (!['r', 'p', 'v', 'm', 'f'].includes(found.kind)) {
    throw new PermanentError('MissingTable', `${where}: "${table}" is not a table or view. Name a table to read.`);
  }
  if (!found.readable) throw missingGrant(where, found.role, table, []);
  return {
    from: quoteTable(table),
    label: `table "${table}"`,
    columns: await tableColumns(transaction, found.oid),
    key: found.key ?? [],
    rowBytes: found.bytes,
    rowsEstimated: found.rows,
    pages: found.pages,
    // LOCK TABLE asks for the grant on the whole table; a role that may read some columns does without.
    lock: found.lockable && ['r', 'p', 'v'].includes(found.kind) ? table : null,
  };
}

async function missingTable(transaction: ReadTransaction, where: string, table: string): Promise<PermanentError> {
  const name = table.split('.').at(-1) ?? table;
  const others = await transaction.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1 limit 3`,
    [name],
  );
  const hint =
    others.length > 0
      ? `There is ${others.map((other) => `"${other.name}"`).join(', ')}: name it with its schema.`
      : 'Check the name, its schema, and the search path of the role.';
  return new PermanentError('MissingTable', `${where}: there is no table "${table}". ${hint}`);
}

function missingGrant(where: string, role: string, table: string, columns: readonly string[]): PermanentError {
  const list = columns.length > 0 ? ` (${columns.map(quoteName).join(', ')})` : '';
  const what = columns.length > 0 ? `columns ${columns.join(', ')} of table "${table}"` : `table "${table}"`;
  return new PermanentError(
    'MissingGrant',
    `${where}: role "${role}" may not read ${what}. Run: GRANT SELECT${list} ON ${quoteTable(table)} TO ${quoteName(role)};`,
  );
}

/**
 * A column of the relation.
 * @throws PermanentError `MissingColumn`, naming those that there are
 */
export function columnOf(relation: Relation, name: string, where: string): PostgresColumn {
  const column = relation.columns.find((each) => each.name === name);
  if (column) return column;
  const known = relation.columns.map((each) => each.name).join(', ');
  throw new PermanentError('MissingColumn', `${where}: ${relation.label} has no column "${name}". It has: ${known}.`);
}

/**
 * @throws PermanentError `MissingGrant` where the role may not read one of these columns
 */
export async function requireReadable(
  transaction: ReadTransaction,
  relation: Relation,
  config: PostgresSourceConfig,
  names: readonly string[],
  where: string,
): Promise<void> {
  const refused = names.filter((name) => !columnOf(relation, name, where).readable);
  if (refused.length === 0 || config.table === undefined) return;
  const [row] = await transaction.query<{ role: string }>('select current_user::text as role');
  throw missingGrant(where, row?.role ?? '', config.table, refused);
}
