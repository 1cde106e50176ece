/** Which database a ledger is in, by whatever address it is reached. */
import type { Database } from '../connectors/postgres/database.ts';
import { PermanentError } from '../errors.ts';

/**
 * The server's system identifier, which a standby shares with its primary, and the name of the database.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA
 *
 * @returns null where the server does not tell
 */
export async function ledgerIdentity(database: Pick<Database, 'query'>): Promise<string | null> {
  try {
    const [row] = await database.query<{ id: string }>(
      `select system_identifier || '/' || current_database() as id from pg_control_system()`,
    );
    return row?.id ?? null;
  } catch (error) {
    // Some services take the function away.
    if (error instanceof PermanentError) return null;
    throw error;
  }
}
