/** What every activity of a planned run begins with: its definition as planned, its target, its plan from the ledger. */
import type { Database } from '../connectors/postgres/database.ts';
import type { RunRef } from '../contracts/run.ts';
import { PermanentError } from '../errors.ts';
import { type RunPlan, readRun } from '../ledger/run-plan.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { Dependencies } from './dependencies.ts';

export interface PlannedRun {
  readonly pipeline: BoundPipeline;
  readonly database: Database;
  readonly plan: RunPlan;
}

/** Plans of the runs that this worker works on, so that each partition does not read it again. */
const RECENT_PLANS = 16;
const plans = new Map<string, RunPlan>();

/** @throws PermanentError `RunEnded` where the ledger does not know the run */
export async function plannedRun(dependencies: Dependencies, run: RunRef): Promise<PlannedRun> {
  const pipeline = dependencies.boundPipeline(run);
  const database = dependencies.target(pipeline);
  let plan = plans.get(run.key);
  if (!plan) {
    const stored = await readRun(database, run.key);
    if (!stored) throw new PermanentError('RunEnded', `Run ${run.key} is not in the ledger of ${database.label}.`);
    plan = stored.plan;
    plans.set(run.key, plan);
    if (plans.size > RECENT_PLANS) plans.delete(plans.keys().next().value ?? '');
  }
  return { pipeline, database, plan };
}
