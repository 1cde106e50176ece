import { isClosed } from '../../client/is-closed.ts';
import { Database } from '../../connectors/postgres/database.ts';
import { PermanentError } from '../../errors.ts';
import { collectEndedRuns } from '../../ledger/collect.ts';
import { plural } from '../format.ts';
import type { Session } from '../session.ts';

/** `sluice clean`: drops the staging tables and records that ended runs left. A failed run cannot be retried from them afterwards. */
export async function cleanCommand(session: Session): Promise<void> {
  const found = await session.database();
  if (!found) throw new PermanentError('MissingDatabaseUrl', 'no database is named: set SLUICE_DATABASE_URL, or start "sluice dev".');
  const database = new Database('target', found.url, { max: 2 });
  try {
    await session.withClient(async (sluice) => {
      const { runs, tables } = await collectEndedRuns(database, (workflowId, runKey) => isClosed(sluice.temporal, workflowId, runKey));
      session.output.result(
        { runs, tables },
        runs === 0 ? 'Nothing to collect.' : `Collected ${plural(runs, 'run')}: ${plural(tables, 'table')} dropped.`,
      );
    });
  } finally {
    await database.close();
  }
}
