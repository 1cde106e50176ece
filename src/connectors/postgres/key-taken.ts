/** Another session has inserted a key between the look at the target and our own insert: MERGE and DELETE see what was there when they began. */
import type pg from 'pg';
import { TransientError } from '../../errors.ts';
import type { PostgresTargetConfig } from './config.ts';
import type { Database } from './database.ts';
import { sqlState, UNIQUE_VIOLATION } from './errors.ts';

/**
 * What to throw in place of the server's refusal of a row, where no two of the rows that are loaded have the same key: the next attempt sees the
 * row of the other session, and updates or replaces it. Null where it would be refused again.
 *
 * @param refusal what the server said
 */
export async function keyTaken(
  database: Pick<Database, 'query' | 'label'>,
  target: PostgresTargetConfig,
  refusal: unknown,
): Promise<TransientError | null> {
  if (sqlState(refusal) !== UNIQUE_VIOLATION) return null;
  const { schema = '', constraint = '', detail = '' } = refusal as pg.DatabaseError;
  // Of a whole table that is replaced no row stays that could stand in the way.
  const isSeenNextTime =
    (target.mode === 'replace' && target.scope === 'table') ||
    (target.mode === 'upsert' && (await isIndexOf(database, schema, constraint, target.key ?? [])));
  if (!isSeenNextTime) return null;
  return new TransientError(
    'KeyTaken',
    `${database.label}: while table "${target.table}" was being loaded, another session inserted a row with the same key (${detail}). ` +
      'Nothing was changed. It is tried again, with that row in sight.',
    { cause: refusal },
  );
}

/** The index has the key's columns, whatever their order. */
async function isIndexOf(database: Pick<Database, 'query'>, schema: string, index: string, key: readonly string[]): Promise<boolean> {
  const [found] = await database.query<{ columns: string[] }>(
    `select array_agg(a.attname::text) as columns from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
     cross join unnest(i.indkey) with ordinality as k (attnum, nth) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where n.nspname = $1 and x.relname = $2 and k.nth <= i.indnkeyatts group by i.indnkeyatts having count(*) = i.indnkeyatts`,
    [schema, index],
  );
  return found !== undefined && found.columns.length === key.length && key.every((column) => found.columns.includes(column));
}
