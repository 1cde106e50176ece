/** Another session has inserted a key between the look at the target and our own insert: MERGE and DELETE see what was there when they began. */
import type pg from 'pg';
import { TransientError } from '../../errors.ts';
import { type Database, quoteName } from './database.ts';
import { sqlState, UNIQUE_VIOLATION } from './errors.ts';
import type { LoadRequest } from './load.ts';

/** What was refused. No two of its rows have the same key. */
type Refused = Pick<LoadRequest, 'target' | 'columns' | 'from'>;

/**
 * What to throw in place of the server's refusal of a row: the next attempt sees the row of the other session, and updates or replaces it. Null where
 * it would be refused again.
 *
 * @param refusal what the server said
 */
export async function keyTaken(database: Database, refused: Refused, refusal: unknown): Promise<TransientError | null> {
  if (sqlState(refusal) !== UNIQUE_VIOLATION) return null;
  const { target } = refused;
  const { schema = '', constraint = '', detail = '' } = refusal as pg.DatabaseError;
  if (!(await isSeenNextTime(database, refused, await columnsOfIndex(database, schema, constraint)))) return null;
  return new TransientError(
    'KeyTaken',
    `${database.label}: while table "${target.table}" was being loaded, another session inserted a row with the same key (${detail}). ` +
      'Nothing was changed. It is tried again, with that row in sight.',
    { cause: refusal },
  );
}

/** The next attempt takes the row that stands in the way for what it updates or deletes. */
async function isSeenNextTime(database: Database, refused: Refused, index: readonly string[]): Promise<boolean> {
  const { mode, scope, key = [] } = refused.target;
  if (mode === 'upsert') return index.length === key.length && key.every((column) => index.includes(column));
  // Of a whole table that is replaced no row stays that could stand in the way, unless it is one of those that are loaded.
  return mode === 'replace' && scope === 'table' && (await areDistinct(database, refused, index));
}

/** No two rows are alike in the columns of the index; false also where the rows do not tell. */
async function areDistinct(database: Database, { columns, from }: Refused, index: readonly string[]): Promise<boolean> {
  if (index.length === 0 || !index.every((name) => columns.some((column) => column.name === name))) return false;
  const twins = `select from ${from} group by ${index.map(quoteName).join(', ')} having count(*) > 1 limit 1`;
  const { rowCount } = await database.transaction((client) => client.query(twins), { readOnly: true });
  return rowCount === 0;
}

/** The columns that an index keeps unique; none where it does so for an expression. */
async function columnsOfIndex(database: Database, schema: string, index: string): Promise<readonly string[]> {
  const [found] = await database.query<{ columns: string[] }>(
    `select array_agg(a.attname::text) as columns from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
     cross join unnest(i.indkey) with ordinality as k (attnum, nth) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where n.nspname = $1 and x.relname = $2 and k.nth <= i.indnkeyatts group by i.indnkeyatts having count(*) = i.indnkeyatts`,
    [schema, index],
  );
  return found?.columns ?? [];
}
