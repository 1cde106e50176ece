/**
 * Activity `transformUnit`: proves that staging is complete, runs the pipeline's SQL transform, and takes out rows that its `output` refuses or whose
 * key is null or there twice; all in one transaction of the target database.
 */
import type { Connection } from '../connectors/postgres/database.ts';
import { quoteName } from '../connectors/postgres/database.ts';
import { isDataError } from '../connectors/postgres/errors.ts';
import { buildKeys } from '../connectors/postgres/swap.ts';
import type { RunRef } from '../contracts/run.ts';
import type { TransformResult, UnitInput } from '../contracts/stages.ts';
import { countStaged, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import { landInStaging } from '../ledger/landing.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import { columnList, type RunTables, setPartition, withRelations } from '../ledger/staging.ts';
import { attempt } from './attempt.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { type PlannedRun, plannedRun } from './planned-run.ts';
import { moveRowsRefusedByOutput, moveUnfitRows } from './unfit-rows.ts';

export function createTransformUnit(dependencies: Dependencies) {
  return activity(async ({ run, partition }: UnitInput): Promise<TransformResult> => {
    const planned = await plannedRun(dependencies, run);
    const { database } = planned;
    const id = partition?.id ?? null;
    const unit = unitName('transform', id);
    return await withHeartbeats(
      async () =>
        await attempt(database, run.key, unit, dependencies.options.identity, async ({ fence, reachedBoth }) => {
          await reachedBoth();
          try {
            const result = await database.transaction(async (client) => {
              await holdFence(client, fence);
              return await transform(dependencies, client, run, planned, id);
            });
            await faultPoint('transform:after-commit');
            return result;
          } catch (error) {
            // A duplicate key in a first load: staging knows the order of rows, and which one of them stays.
            if (!planned.plan.beside || !isDataError((error as Error).cause)) throw error;
            await database.transaction(async (client) => {
              await holdFence(client, fence);
              await landInStaging(client, run.key, planned.plan, { transformed: planned.pipeline.sqlTransform !== null });
            });
            return { status: 'incomplete', missing: planned.plan.partitions };
          }
        }),
    );
  });
}

async function transform(
  dependencies: Dependencies,
  client: Connection,
  run: RunRef,
  { pipeline, plan, tables }: PlannedRun,
  partition: number | null,
): Promise<TransformResult> {
  const unit = unitName('transform', partition);
  const done = await readTransform(client, run.key, unit);
  if (done) return { status: 'transformed', rowsIn: done.rowsIn, rowsOut: done.rowsOut, rowsQuarantined: done.rowsQuarantined };
  const { missing, rows: rowsIn } = await countStaged(client, run.key, tables.extracted, partition);
  if (missing > 0) return { status: 'incomplete', missing };

  const { name: table } = tables.loaded;
  let rowsOut = rowsIn;
  let rowsQuarantined = 0;
  if (pipeline.sqlTransform) {
    if (partition === null) await client.query(`analyze ${tables.extracted.name}`);
    if (plan.beside) await client.query(`truncate ${table}`);
    else await setPartition(client, partition ?? 0);
    rowsOut = await runSqlTransform(client, tables, plan, pipeline.sqlTransform.text, partition);
  }
  const source = pipeline.sqlTransform ? null : dependencies.source(pipeline.source);
  const unfit = { run, plan, pipeline, partition, table, source };
  if (plan.beside) {
    rowsQuarantined = await moveRowsRefusedByOutput(client, unfit);
    await buildKeys(client, { table, ...plan.beside }, pipeline.target);
  } else rowsQuarantined = await moveUnfitRows(client, unfit);
  rowsOut -= rowsQuarantined;
  // There are no statistics yet, and without them the checks' SQL is planned badly.
  if (partition === null && pipeline.checks.length > 0) await client.query(`analyze ${table}`);
  await client.query(`insert into sluice.transforms (run_key, unit, rows_in, rows_out, rows_quarantined) values ($1, $2, $3, $4, $5)`, [
    run.key,
    unit,
    rowsIn,
    rowsOut,
    rowsQuarantined,
  ]);
  await faultPoint('transform:before-commit', client);
  return { status: 'transformed', rowsIn, rowsOut, rowsQuarantined };
}

/** @returns rows that it gave */
async function runSqlTransform(
  client: Connection,
  { extracted, loaded }: RunTables,
  plan: RunPlan,
  text: string,
  partition: number | null,
): Promise<number> {
  const relations = withRelations({ staging: { table: extracted.name, columns: plan.staged } }, partition);
  const list = columnList(plan.loaded);
  const { rowCount } = await client.query(
    `insert into ${loaded.name} (${list})
     ${relations} select ${plan.loaded.map((column) => `transformed.${quoteName(column.name)}::${column.sqlType}`).join(', ')} from (${text}) as transformed`,
  );
  return rowCount ?? 0;
}
