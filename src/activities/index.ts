/** The activities of a worker, made with what they depend on. */
import type { RunRef } from '../contracts/run.ts';
import type { ListPartitionsInput } from '../contracts/stages.ts';
import type { ListLoadedInput } from '../contracts/verification.ts';
import { listLoaded } from '../ledger/loaded-partitions.ts';
import { countUncommitted, listPartitions } from '../ledger/run-plan.ts';
import { createAbandonPlan } from './abandon-plan.ts';
import { createCheckUnit } from './check-unit.ts';
import { createCommitUnit } from './commit-unit.ts';
import { createCompareUnit } from './compare-unit.ts';
import { createCopyPartition } from './copy-partition.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { createFinishRun } from './finish-run.ts';
import { createPlanRun } from './plan-run.ts';
import { createPlanVerification } from './plan-verification.ts';
import { createTransformUnit } from './transform-unit.ts';

export function createActivities(dependencies: Dependencies) {
  return {
    planRun: createPlanRun(dependencies),
    abandonPlan: createAbandonPlan(dependencies),
    listPartitions: activity(async (input: ListPartitionsInput) =>
      listPartitions(dependencies.target(dependencies.boundPipeline(input.run)), input),
    ),
    countUncommitted: activity(async ({ run, names }: { run: RunRef; names: readonly string[] | null }) =>
      countUncommitted(dependencies.target(dependencies.boundPipeline(run)), run.key, names),
    ),
    copyPartition: createCopyPartition(dependencies),
    transformUnit: createTransformUnit(dependencies),
    checkUnit: createCheckUnit(dependencies),
    commitUnit: createCommitUnit(dependencies),
    finishRun: createFinishRun(dependencies),
    planVerification: createPlanVerification(dependencies),
    listLoaded: activity(async (input: ListLoadedInput) => listLoaded(dependencies.target(dependencies.boundPipeline(input.run)), input)),
    compareUnit: createCompareUnit(dependencies),
  };
}

export type Activities = ReturnType<typeof createActivities>;
