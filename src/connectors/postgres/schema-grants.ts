/** Grants on schemas, looked up before they are needed: PostgreSQL says "permission denied for schema" and not which grant is missing. */
import { PermanentError } from '../../errors.ts';
import { type Database, quoteName } from './database.ts';

export type SchemaPrivilege = 'USAGE' | 'CREATE';

/**
 * Looks whether the role has these privileges on a schema.
 *
 * @param where what was talked to, for the message
 * @returns whether the schema exists
 * @throws PermanentError `MissingGrant`
 */
export async function requireSchemaGrants(
  database: Pick<Database, 'query'>,
  where: string,
  schema: string,
  privileges: readonly SchemaPrivilege[],
): Promise<boolean> {
  const rows = await database.query<{ privilege: SchemaPrivilege; allowed: boolean; role: string }>(
    `select p as privilege, has_schema_privilege(n.oid, p) as allowed, current_user::text as role
     from pg_namespace n, unnest($2::text[]) as p where n.nspname = $1`,
    [schema, privileges],
  );
  const refused = rows.filter((row) => !row.allowed);
  if (refused[0]) {
    const missing = refused.map((row) => row.privilege).join(', ');
    throw new PermanentError(
      'MissingGrant',
      `${where}: role "${refused[0].role}" lacks ${missing} on schema "${schema}". ` +
        `Run: GRANT ${missing} ON SCHEMA ${quoteName(schema)} TO ${quoteName(refused[0].role)};`,
    );
  }
  return rows.length > 0;
}

/** The schema of `schema.table`; null where the search path decides. */
export function schemaOf(table: string): string | null {
  return table.includes('.') ? (table.split('.')[0] ?? null) : null;
}
