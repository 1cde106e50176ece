/**
 * Activity `abandonPlan`: ends a run that was cancelled while it was planned, where its plan was written all the same, as by a worker that died
 * right after. May be called again.
 */
import type { AbandonPlanInput } from '../contracts/stages.ts';
import { readNewestPlan } from '../ledger/run-plan.ts';
import { endRun } from '../ledger/runs.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';

export function createAbandonPlan(dependencies: Dependencies) {
  return activity(async ({ runKey, pipeline, params, reason }: AbandonPlanInput): Promise<void> => {
    const database = dependencies.targetByNow(pipeline, params);
    const planned = await readNewestPlan(database, runKey);
    if (planned) await endRun(database, planned.runKey, 'cancelled', reason, null);
  });
}
