/** Collects what terminated, expired and failed runs left: staging tables and the records that vouch for them. */
import type { Database } from '../connectors/postgres/database.ts';
import { endRun, forgetStaging, sumCommits } from './runs.ts';
import { besideTable, STAGING_SCHEMA, stagingTable, transformedTable } from './staging.ts';

export interface Collected {
  readonly runs: number;
  readonly tables: number;
}

/**
 * @param isClosed whether Temporal knows the run's workflow as closed, or not at all
 */
export async function collectEndedRuns(
  database: Database,
  isClosed: (workflowId: string, runKey: string) => Promise<boolean>,
): Promise<Collected> {
  const [ready] = await database.query<{ ready: boolean }>(`select to_regclass('sluice.runs') is not null as ready`);
  if (!ready?.ready) return { runs: 0, tables: 0 };
  const tables = new Set(
    (
      await database.query<{ name: string }>(`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1`, [
        STAGING_SCHEMA,
      ])
    ).map((row) => row.name),
  );
  const left = (runKey: string) =>
    [stagingTable(runKey), transformedTable(runKey), besideTable(runKey)].filter((table) => tables.has(table.replaceAll('"', ''))).length;
  const runs = await database.query<{ run_key: string; workflow_id: string; status: string }>(
    'select run_key, workflow_id, status from sluice.runs order by planned_at',
  );
  let collected = 0;
  let dropped = 0;
  for (const run of runs) {
    const count = left(run.run_key);
    if (count === 0 && run.status !== 'running') continue;
    if (!(await isClosed(run.workflow_id, run.run_key))) continue;
    if (run.status === 'running') {
      const { whole } = await sumCommits(database, run.run_key);
      await endRun(database, run.run_key, whole ? 'succeeded' : 'cancelled', 'Collected: its workflow had ended without a word.', null);
    } else if (!(await forgetStaging(database, run.run_key))) continue;
    collected += 1;
    dropped += count;
  }
  return { runs: collected, tables: dropped };
}
