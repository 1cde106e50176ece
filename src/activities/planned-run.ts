/** What every activity of a planned run begins with: its definition as planned, its target, its plan from the ledger. */
import type { Database } from '../connectors/postgres/database.ts';
import type { RunRef } from '../contracts/run.ts';
import { PermanentError } from '../errors.ts';
import { type RunPlan, readRun } from '../ledger/run-plan.ts';
import { type RunTables, tablesOf } from '../ledger/staging.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { Dependencies } from './dependencies.ts';

export interface PlannedRun {
  readonly pipeline: BoundPipeline;
  readonly database: Database;
  readonly plan: RunPlan;
  readonly tables: RunTables;
}

/** @throws PermanentError `RunEnded` where the ledger does not know the run */
export async function plannedRun(dependencies: Dependencies, run: RunRef): Promise<PlannedRun> {
  const pipeline = dependencies.boundPipeline(run);
  const database = dependencies.target(pipeline);
  // Read each time: where the rows wait may change in the middle of a run.
  const stored = await readRun(database, run.key);
  if (!stored) throw new PermanentError('RunEnded', `Run ${run.key} is not in the ledger of ${database.label}.`);
  const { plan } = stored;
  return { pipeline, database, plan, tables: tablesOf(run.key, plan, pipeline.sqlTransform !== null) };
}
