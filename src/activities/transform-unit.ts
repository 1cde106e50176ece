/**
 * Activity `transformUnit`: proves that staging is complete, takes out rows whose key is null or there twice, and runs the pipeline's
 * SQL transform; all in one transaction of the target database.
 */
import type { Connection } from '../connectors/postgres/database.ts';
import { quoteName } from '../connectors/postgres/database.ts';
import type { TransformResult, UnitInput } from '../contracts/stages.ts';
import { countIncomplete, countRows, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import { columnList, setPartition, stagingTable, transformedTable, withRelations } from '../ledger/staging.ts';
import { attempt } from './attempt.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { plannedRun } from './planned-run.ts';
import { moveUnfitRows } from './unfit-rows.ts';

export function createTransformUnit(dependencies: Dependencies) {
  return activity(async ({ run, partition }: UnitInput): Promise<TransformResult> => {
    const { pipeline, database, plan } = await plannedRun(dependencies, run);
    const id = partition?.id ?? null;
    const unit = unitName('transform', id);
    return await withHeartbeats(
      async () =>
        await attempt(database, run.key, unit, dependencies.options.identity, async ({ fence, reachedBoth }) => {
          await reachedBoth();
          const result = await database.transaction(async (client): Promise<TransformResult> => {
            await holdFence(client, fence);
            const missing = await countIncomplete(client, run.key, id);
            const done = await readTransform(client, run.key, unit);
            if (done) return { status: 'transformed', rowsIn: done.rowsIn, rowsOut: done.rowsOut, rowsQuarantined: done.rowsQuarantined };
            if (missing > 0) return { status: 'incomplete', missing };
            await setPartition(client, id ?? 0);
            const rowsIn = await countRows(client, stagingTable(run.key), id);
            const source = dependencies.source(pipeline.source);
            let rowsQuarantined = 0;
            if (pipeline.sqlTransform) {
              await runSqlTransform(client, run.key, plan, pipeline.sqlTransform.text, id);
              rowsQuarantined = await moveUnfitRows(client, {
                run,
                plan,
                pipeline,
                partition: id,
                table: transformedTable(run.key),
                source: null,
              });
            } else {
              rowsQuarantined = await moveUnfitRows(client, { run, plan, pipeline, partition: id, table: stagingTable(run.key), source });
            }
            const table = pipeline.sqlTransform ? transformedTable(run.key) : stagingTable(run.key);
            const rowsOut = await countRows(client, table, id);
            await client.query(
              `insert into sluice.transforms (run_key, unit, rows_in, rows_out, rows_quarantined) values ($1, $2, $3, $4, $5)`,
              [run.key, unit, rowsIn, rowsOut, rowsQuarantined],
            );
            if (id === null) await client.query(`analyze ${table}`);
            await faultPoint('transform:before-commit', client);
            return { status: 'transformed', rowsIn, rowsOut, rowsQuarantined };
          });
          await faultPoint('transform:after-commit');
          return result;
        }),
    );
  });
}

async function runSqlTransform(client: Connection, runKey: string, plan: RunPlan, text: string, partition: number | null): Promise<void> {
  const relations = withRelations(runKey, { staging: plan.staged }, partition);
  const list = columnList(plan.loaded);
  await client.query(
    `insert into ${transformedTable(runKey)} (${list})
     ${relations} select ${plan.loaded.map((column) => `transformed.${quoteName(column.name)}::${column.sqlType}`).join(', ')} from (${text}) as transformed`,
  );
}
