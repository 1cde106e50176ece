/** Activity `checkUnit`: asks the pipeline's questions about the rows of a unit, and writes that they may be committed. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { CheckResult, UnitInput } from '../contracts/stages.ts';
import { PermanentError } from '../errors.ts';
import { markChecked, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import { quarantineReasons } from '../ledger/quarantine.ts';
import { withRelations } from '../ledger/staging.ts';
import type { Check } from '../pipeline/checks.ts';
import { attempt } from './attempt.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { type PlannedRun, plannedRun } from './planned-run.ts';

/** Offending rows shown in the message of a failed check. */
const SAMPLE_ROWS = 5;
const SAMPLE_CHARACTERS = 300;

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
          await reachedBoth();
          return await database.transaction(async (client): Promise<CheckResult> => {
            await holdFence(client, fence);
            const transformed = await readTransform(client, run.key, unit);
            if (!transformed) return { status: 'incomplete', missing: 1 };
            await checkTolerance(database, client, planned, run.key, id, where);
            for (const check of pipeline.checks) await runCheck(client, planned, id, where, check, transformed.rowsOut);
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
  const allowed = 'rows' in pipeline.tolerate ? pipeline.tolerate.rows : Math.floor(pipeline.tolerate.share * read);
  if (bad <= allowed) return;
  const reasons = await quarantineReasons(database, runKey, partition, 3);
  const why = reasons.map((each) => `${each.rows} × ${each.column ? `${each.column}: ` : ''}${each.reason}`).join('; ');
  throw new PermanentError(
    'TooManyQuarantined',
    `${where}: ${bad} of ${read} rows are in quarantine, ${allowed} are tolerated (${why}). Nothing was changed. ` +
      `They are in sluice.quarantine with run_key '${runKey}'. Correct the source, or raise "tolerate".`,
  );
}

async function runCheck(
  client: Connection,
  { plan, tables }: PlannedRun,
  partition: number | null,
  where: string,
  check: Check,
  rows: number,
): Promise<void> {
  if (check.kind === 'rowCount') {
    if ((check.min === undefined || rows >= check.min) && (check.max === undefined || rows <= check.max)) return;
    const wanted = [check.min === undefined ? '' : `at least ${check.min}`, check.max === undefined ? '' : `at most ${check.max}`];
    throw new PermanentError(
      'CheckFailed',
      `${where}: check "${check.name}" failed: ${rows} rows, but it wants ${wanted.filter(Boolean).join(' and ')}. Nothing was changed.`,
    );
  }
  const relations = withRelations(
    { staging: { table: tables.extracted.name, columns: plan.staged }, rows: { table: tables.loaded.name, columns: plan.loaded } },
    partition,
  );
  const { rows: found } = await client.query<{ rows: string; sample: string[] | null }>(
    `${relations}, offending as (${check.sql})
     select (select count(*) from offending) as rows,
            (select array_agg(row_to_json(shown)::text) from (select * from offending limit ${SAMPLE_ROWS}) as shown) as sample`,
  );
  const count = Number(found[0]?.rows ?? 0);
  if (count === 0) return;
  const sample = (found[0]?.sample ?? []).map((row) => (row.length > SAMPLE_CHARACTERS ? `${row.slice(0, SAMPLE_CHARACTERS)}...` : row));
  throw new PermanentError(
    'CheckFailed',
    `${where}: check "${check.name}" failed: ${count} ${count === 1 ? 'row offends' : 'rows offend'}, such as ${sample.join(', ')}. Nothing was changed.`,
  );
}
