/** Activity `checkUnit`: asks the pipeline's questions about the rows of a unit, and writes that they may be committed. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { CheckResult, UnitInput } from '../contracts/stages.ts';
import { PermanentError } from '../errors.ts';
import { markChecked, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import { quarantineReasons } from '../ledger/quarantine.ts';
import { attempt } from './attempt.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { type PlannedRun, plannedRun } from './planned-run.ts';
import { askSource } from './source-totals.ts';
import { runTableCheck } from './table-checks.ts';
import { tolerated } from './tolerance.ts';

export function createCheckUnit(dependencies: Dependencies) {
  return activity(async ({ run, partition }: UnitInput): Promise<CheckResult> => {
    const planned = await plannedRun(dependencies, run);
    const { pipeline, database } = planned;
    const id = partition?.id ?? null;
    const where = partition ? `${run.pipeline}: partition ${partition.name}` : run.pipeline;
    const unit = unitName('transform', id);
    return await withHeartbeats(
      async () =>
        await attempt(database, run.key, unit, dependencies.options.identity, async ({ fence, reachedBoth }) => {
          // Before the transaction, which would otherwise stay open for as long as the source counts.
          const source = await askSource(dependencies, planned, run.key, id);
          await reachedBoth();
          return await database.transaction(async (client): Promise<CheckResult> => {
            await holdFence(client, fence);
            const transformed = await readTransform(client, run.key, unit);
            if (!transformed) return { status: 'incomplete', missing: 1 };
            await checkTolerance(database, client, planned, run.key, id, where);
            const checked = { planned, runKey: run.key, partition: id, where, rows: transformed.rowsOut, source };
            for (const check of pipeline.checks) await runTableCheck(client, checked, check);
            await markChecked(client, run.key, unit);
            await faultPoint('check:before-commit', client);
            return { status: 'passed', checks: pipeline.checks.length + 1 };
          });
        }),
    );
  });
}

async function checkTolerance(
  database: Database,
  client: Connection,
  { pipeline }: PlannedRun,
  runKey: string,
  partition: number | null,
  where: string,
): Promise<void> {
  const { rows } = await client.query<{ read: string; bad: string }>(
    `select (select coalesce(sum(rows_read), 0) from sluice.chunks where run_key = $1 and ($2::int is null or partition = $2)) as read,
            (select count(*) from sluice.quarantine where run_key = $1 and ($2::int is null or partition = $2)) as bad`,
    [runKey, partition],
  );
  const read = Number(rows[0]?.read ?? 0);
  const bad = Number(rows[0]?.bad ?? 0);
  const allowed = tolerated(pipeline, read);
  if (bad <= allowed) return;
  const reasons = await quarantineReasons(database, runKey, partition, 3);
  const why = reasons.map((each) => `${each.rows} × ${each.column ? `${each.column}: ` : ''}${each.reason}`).join('; ');
  throw new PermanentError(
    'TooManyQuarantined',
    `${where}: ${bad} of ${read} rows are in quarantine, ${allowed} are tolerated (${why}). Nothing was changed. ` +
      `They are in sluice.quarantine with run_key '${runKey}'. Correct the source, or raise "tolerate".`,
  );
}
