/** A target that chunks go right into, each committed as it is copied: what it has to be like, and how it is made. */
import { PermanentError } from '../../errors.ts';
import type { PostgresTargetConfig } from './config.ts';
import { type Connection, type Database, quoteName, quoteTable } from './database.ts';
import { declareColumns, lockTarget, nameOfLock, targetPlace } from './load.ts';
import type { LoadColumn } from './load-column.ts';
import type { TargetTable } from './target-table.ts';

/**
 * @returns the target's name, quoted
 * @throws PermanentError `MissingUniqueIndex` where nothing would refuse a second row with the same key, `SchemaDoesNotFit` where COPY cannot
 * write the table, or a crash of the server would empty it
 */
export async function directTarget(database: Database, config: PostgresTargetConfig, target: TargetTable): Promise<string> {
  const { table, key } = config;
  const refuse = (what: string, instead: string) =>
    new PermanentError('SchemaDoesNotFit', `${database.label}: table "${table}" ${what}. ${instead} Nothing was changed.`);
  if (target.exists) {
    const [found] = await database.query<{ persistence: string; secured: boolean }>(
      'select relpersistence as persistence, row_security_active(oid) as secured from pg_class where oid = $1',
      [target.oid],
    );
    if (found?.persistence !== 'p')
      throw refuse('is unlogged: a crash of the server would empty it of chunks that are committed', "Commit by 'run', or SET LOGGED.");
    if (found.secured) throw refuse('has row security for this role, and COPY does not go with that', "Commit by 'run' or 'partition'.");
    if (key && !target.enforcesKey) {
      throw new PermanentError(
        'MissingUniqueIndex',
        `${database.label}: table "${table}" has no unique index on exactly (${key.join(', ')}), the key: where chunks go right into it, nobody else refuses ` +
          `a second row. Run: CREATE UNIQUE INDEX ON ${quoteTable(table)} (${key.map(quoteName).join(', ')}); or leave "key" out.`,
      );
    }
  }
  return `${quoteName(target.schema)}.${quoteName(table.split('.').at(-1) ?? table)}`;
}

/** Creates the target where it is missing, with its key. */
export async function createDirectTarget(
  client: Connection,
  { table, key }: PostgresTargetConfig,
  columns: readonly LoadColumn[],
): Promise<void> {
  if ((await targetPlace(client, table)).oid !== null || (await lockTarget(client, table)).oid !== null) return;
  const primaryKey = key ? `, primary key (${key.map(quoteName).join(', ')})` : '';
  await client.query(`create table ${quoteTable(table)} (${declareColumns(columns)}${primaryKey})`);
}

/** Chunks go into one table side by side, and not while another run loads it. @param direct as {@link directTarget} gives it */
export async function shareTarget(client: Connection, direct: string): Promise<void> {
  await client.query('select pg_advisory_xact_lock_shared(hashtextextended($1, 0))', [nameOfLock(direct)]);
}
