/**
 * Activity `transformUnit`: proves that staging is complete, takes out rows whose key is null or there twice, and runs the pipeline's
 * SQL transform; all in one transaction of the target database.
 */
import type { Connection } from '../connectors/postgres/database.ts';
import { quoteName } from '../connectors/postgres/database.ts';
import type { TransformResult, UnitInput } from '../contracts/stages.ts';
import { countStaged, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import { columnList, loadedTable, setPartition, transformedTable, withRelations } from '../ledger/staging.ts';
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
            const { missing, rows: rowsIn } = await countStaged(client, run.key, id);
            const done = await readTransform(client, run.key, unit);
            if (done) return { status: 'transformed', rowsIn: done.rowsIn, rowsOut: done.rowsOut, rowsQuarantined: done.rowsQuarantined };
            if (missing > 0) return { status: 'incomplete', missing };
            const table = loadedTable(run.key, pipeline.sqlTransform !== null);
            let rowsMade = rowsIn;
            if (pipeline.sqlTransform) {
              await setPartition(client, id ?? 0);
              rowsMade = await runSqlTransform(client, run.key, plan, pipeline.sqlTransform.text, id);
            }
            // Staging has no statistics yet, and without them what follows is planned badly.
            if (id === null) await client.query(`analyze ${table}`);
            const source = pipeline.sqlTransform ? null : dependencies.source(pipeline.source);
            const rowsQuarantined = await moveUnfitRows(client, { run, plan, pipeline, partition: id, table, source });
            const rowsOut = rowsMade - rowsQuarantined;
            await client.query(
              `insert into sluice.transforms (run_key, unit, rows_in, rows_out, rows_quarantined) values ($1, $2, $3, $4, $5)`,
              [run.key, unit, rowsIn, rowsOut, rowsQuarantined],
            );
            await faultPoint('transform:before-commit', client);
            return { status: 'transformed', rowsIn, rowsOut, rowsQuarantined };
          });
          await faultPoint('transform:after-commit');
          return result;
        }),
    );
  });
}

/** @returns rows that it gave */
async function runSqlTransform(client: Connection, runKey: string, plan: RunPlan, text: string, partition: number | null): Promise<number> {
  const relations = withRelations(runKey, { staging: plan.staged }, partition);
  const list = columnList(plan.loaded);
  const { rowCount } = await client.query(
    `insert into ${transformedTable(runKey)} (${list})
     ${relations} select ${plan.loaded.map((column) => `transformed.${quoteName(column.name)}::${column.sqlType}`).join(', ')} from (${text}) as transformed`,
  );
  return rowCount ?? 0;
}
