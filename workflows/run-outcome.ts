/** How a run begins and ends, in words and in numbers. */
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { runKeyOf } from '../src/contracts/names.ts';
import type { PipelineInput, PlanSummary, RunSummary } from '../src/contracts/run.ts';
import type { RunTotals, StageTotals } from '../src/contracts/stages.ts';

/** Input that a person typed may be anything. */
export function requireInput(input: PipelineInput): void {
  if (typeof input?.pipeline === 'string' && input.pipeline.length > 0) return;
  throw ApplicationFailure.nonRetryable(
    `The input of a run names its pipeline, as in {"pipeline":"flights","params":{}}; this one is ${JSON.stringify(input ?? null)}.`,
    'InvalidInput',
  );
}

/** The key of the run; of the earlier run where this one retries it. */
export function baseRunKey(input: PipelineInput): string {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return input.retry?.runKey ?? runKeyOf(workflowId, firstExecutionRunId);
}

export function summarize(workflowId: string, plan: PlanSummary, totals: RunTotals): RunSummary {
  return {
    run: workflowId,
    runKey: plan.run.key,
    pipeline: plan.run.pipeline,
    status: 'succeeded',
    rowsRead: totals.rowsRead,
    rowsLoaded: totals.rowsLoaded,
    rowsQuarantined: totals.rowsQuarantined,
    quarantine: totals.quarantine,
    partitions: plan.partitions,
    chunks: totals.chunks,
    unchanged: totals.rowsChanged === 0,
    target: totals.target,
    replicated: totals.replicated ?? null,
    watermark: totals.watermark,
    ledger: plan.ledger ?? null,
  };
}

export function partitionsStopped(plan: PlanSummary, stages: readonly StageTotals[]): ApplicationFailure {
  const count = stages.reduce((sum, stage) => sum + stage.stoppedCount, 0);
  const told = stages.flatMap((stage) => stage.stopped).map((each) => `partition ${each.name}: ${each.reason.replace(/\.$/, '')}`);
  const more = count > told.length ? ` (and ${count - told.length} more)` : '';
  const rest = {
    run: 'Nothing was changed; what is staged is kept.',
    partition: 'The other partitions are committed; of these nothing was changed.',
    chunk: 'The other partitions are committed, and of these the chunks before.',
  }[plan.commit];
  return ApplicationFailure.create({
    message: `${plan.run.pipeline}: ${count} of ${plan.partitions} partitions stopped: ${told.join('; ')}${more}. ${rest} Then: sluice retry ${plan.run.workflowId}`,
    type: 'PartitionsStopped',
    nonRetryable: true,
  });
}

/** A retry of some partitions is done, and the run is not. */
export function partitionsLeft(plan: PlanSummary, left: number): ApplicationFailure {
  return ApplicationFailure.create({
    message:
      `${plan.run.pipeline}: what was asked for is committed; ${left} of ${plan.partitions} partitions are not in the target yet. ` +
      `Then: sluice retry ${plan.run.workflowId}`,
    type: 'PartitionsLeft',
    nonRetryable: true,
  });
}

export function passesUsedUp(passes: number): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `Staging was found incomplete ${passes} times in a row: the target database empties it again and again. Look at its log.`,
    'NoProgress',
  );
}
