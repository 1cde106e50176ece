/** What the target table looks like before a run: its columns, key, and what the role may do with it. */
import { PermanentError } from '../../errors.ts';
import type { PostgresTargetConfig } from './config.ts';
import { type Database, quoteName, quoteTable } from './database.ts';
import { requireSchemaGrants, schemaOf } from './schema-grants.ts';

export interface TargetColumn {
  readonly name: string;
  /** As `format_type` writes it. */
  readonly sqlType: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly generated: boolean;
  /** Labels, where the type is an enum. */
  readonly enumLabels: readonly string[] | null;
}

export interface TargetTable {
  readonly exists: boolean;
  /** Where it is, or would be created. */
  readonly schema: string;
  /** Null where it does not exist. */
  readonly oid: string | null;
  readonly columns: readonly TargetColumn[];
  /** It refuses a second row with the same values of the configured key, at once. */
  readonly enforcesKey: boolean;
}

/**
 * @throws PermanentError `MissingTable` (a view or such stands there), `MissingGrant`, `MissingSchema`, `MissingUniqueIndex`
 */
export async function inspectTarget(database: Database, config: PostgresTargetConfig): Promise<TargetTable> {
  const schema = schemaOf(config.table);
  if (schema !== null) await requireSchemaGrants(database, database.label, schema, ['USAGE']);
  const [found] = await database.query<{ oid: string | null; kind: string | null; schema: string | null }>(
    `select c.oid::text as oid, c.relkind as kind, coalesce(n.nspname::text, $2, current_schema()::text) as schema
     from (select to_regclass($1) as reg) as t left join pg_class c on c.oid = t.reg left join pg_namespace n on n.oid = c.relnamespace`,
    [quoteTable(config.table), schema],
  );
  const place = found?.schema ?? '';
  if (!found?.oid) {
    await requireCreatable(database, config);
    return { exists: false, schema: place, oid: null, columns: [], enforcesKey: false };
  }
  if (found.kind !== 'r' && found.kind !== 'p') {
    throw new PermanentError('MissingTable', `${database.label}: "${config.table}" is not a table. Name a table to load.`);
  }
  await requireGrants(database, config);
  const columns = await database.query<{
    name: string;
    sqltype: string;
    notnull: boolean;
    hasdefault: boolean;
    generated: boolean;
    labels: string[] | null;
  }>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as sqltype, a.attnotnull as notnull,
            a.atthasdef or a.attidentity <> '' as hasdefault, a.attgenerated <> '' or a.attidentity = 'a' as generated,
            (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid) as labels
     from pg_attribute a where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [quoteTable(config.table)],
  );
  const enforcesKey = config.key !== undefined && (await hasUniqueIndex(database, config.table, config.key));
  if (config.mode === 'upsert' && config.key && !enforcesKey) throw missingUniqueIndex(database, config.table, config.key);
  return {
    exists: true,
    schema: place,
    oid: found.oid,
    columns: columns.map((column) => ({
      name: column.name,
      sqlType: column.sqltype,
      notNull: column.notnull,
      hasDefault: column.hasdefault,
      generated: column.generated,
      enumLabels: column.labels,
    })),
    enforcesKey,
  };
}

const PRIVILEGES = {
  append: ['INSERT'],
  upsert: ['SELECT', 'INSERT', 'UPDATE'],
  replace: ['SELECT', 'INSERT', 'DELETE'],
} as const;

async function requireGrants(database: Database, config: PostgresTargetConfig): Promise<void> {
  const wanted = PRIVILEGES[config.mode];
  const rows = await database.query<{ privilege: string; role: string }>(
    `select p as privilege, current_user as role from unnest($2::text[]) as p where not has_table_privilege(to_regclass($1), p)`,
    [quoteTable(config.table), wanted],
  );
  const role = rows[0]?.role;
  if (role === undefined) return;
  const missing = rows.map((row) => row.privilege).join(', ');
  throw new PermanentError(
    'MissingGrant',
    `${database.label}: role "${role}" may not ${missing} on table "${config.table}" (mode "${config.mode}" needs it). ` +
      `Run: GRANT ${missing} ON ${quoteTable(config.table)} TO ${quoteName(role)};`,
  );
}

async function requireCreatable(database: Database, config: PostgresTargetConfig): Promise<void> {
  const schema = schemaOf(config.table);
  const [row] = await database.query<{ schema: string | null; exists: boolean; allowed: boolean | null; role: string }>(
    `select s.name as schema, n.oid is not null as exists, has_schema_privilege(n.oid, 'CREATE') as allowed, current_user as role
     from (select coalesce($1, current_schema()) as name) s left join pg_namespace n on n.nspname = s.name`,
    [schema],
  );
  if (!row?.exists) {
    throw new PermanentError(
      'MissingSchema',
      `${database.label}: table "${config.table}" does not exist, and neither does the schema "${schema ?? 'on the search path'}". Create the schema.`,
    );
  }
  if (!row.allowed) {
    throw new PermanentError(
      'MissingGrant',
      `${database.label}: table "${config.table}" does not exist, and role "${row.role}" may not create it. ` +
        `Create the table, or run: GRANT CREATE ON SCHEMA ${quoteName(row.schema ?? '')} TO ${quoteName(row.role)};`,
    );
  }
}

async function hasUniqueIndex(database: Database, table: string, key: readonly string[]): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(
    `select exists (
       select 1 from pg_index i
       where i.indrelid = to_regclass($1) and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
         and (select array_agg(a.attname::text order by a.attname::text) from pg_attribute a
              where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]))
             = (select array_agg(k order by k) from unnest($2::text[]) k)
     ) as found`,
    [quoteTable(table), key],
  );
  return row?.found ?? false;
}

function missingUniqueIndex(database: Database, table: string, key: readonly string[]): PermanentError {
  return new PermanentError(
    'MissingUniqueIndex',
    `${database.label}: table "${table}" has no unique index on exactly (${key.join(', ')}), the key of the upsert: two runs at once could insert a row twice. ` +
      `Run: CREATE UNIQUE INDEX ON ${quoteTable(table)} (${key.map(quoteName).join(', ')});`,
  );
}
