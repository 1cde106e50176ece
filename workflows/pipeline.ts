import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { keyAfter } from '../src/contracts/names.ts';
import type { PipelineInput, PlanSummary, RunSummary } from '../src/contracts/run.ts';
import type { StageTotals } from '../src/contracts/stages.ts';
import { countUncommitted, finishRun, planRun } from './activities.ts';
import { extract } from './extract.ts';
import { load } from './load.ts';
import { runFailure } from './messages.ts';
import { baseRunKey, partitionsLeft, partitionsStopped, passesUsedUp, requireInput, summarize } from './run-outcome.ts';
import { RunStory } from './run-story.ts';
import { transform } from './transform.ts';

/** After so many rounds something other than crashes of the database must be wrong. */
const PASSES = 50;

/**
 * One run of a pipeline: plan, extract, transform, load, tell. What is transient is retried underneath; what fails for good ends
 * up in the one `catch`.
 */
export async function pipeline(input: PipelineInput): Promise<RunSummary> {
  requireInput(input);
  const story = new RunStory(input);
  let plan: PlanSummary | null = null;
  try {
    for (;;) {
      plan = await planRun.executeWithOptions({ summary: `plan ${input.pipeline}` }, [
        {
          runKey: plan ? keyAfter(plan.run.key) : baseRunKey(input),
          workflowId: story.workflowId,
          pipeline: input.pipeline,
          params: input.params ?? {},
          retryOf: plan ? null : (input.retry?.runKey ?? null),
        },
      ]);
      story.planned(plan);
      if ((await moveRows(story, plan, input)) === 'committed') break;
      // Another run moved the watermark in the meantime: plan again from there.
      await finishRun.executeWithOptions({ summary: 'put aside: another run was faster' }, [
        { run: plan.run, outcome: 'superseded', reason: null },
      ]);
    }
    const { run } = plan;
    const totals = await CancellationScope.nonCancellable(() =>
      finishRun.executeWithOptions({ summary: 'finish' }, [{ run, outcome: 'succeeded', reason: null }]),
    );
    story.ended('succeeded', '');
    return summarize(story.workflowId, plan, totals);
  } catch (error) {
    const outcome = isCancellation(error) ? 'cancelled' : 'failed';
    const failure = runFailure(error, plan?.run.key ?? null);
    const run = plan?.run;
    if (run) {
      await CancellationScope.nonCancellable(() =>
        finishRun.executeWithOptions({ summary: `${outcome}: tidy up` }, [{ run, outcome, reason: failure.message }]),
      ).catch(() => {});
    }
    story.ended(outcome, failure.message);
    throw outcome === 'cancelled' ? error : failure;
  }
}

/** Until all is in the target: what a crash of the database took from staging is extracted again. */
async function moveRows(story: RunStory, plan: PlanSummary, input: PipelineInput): Promise<'committed' | 'superseded'> {
  // What is committed at once is retried at once.
  const only = plan.commit === 'partition' ? (input.retry?.partitions ?? null) : null;
  for (let pass = 0; pass < PASSES; pass += 1) {
    const stages: StageTotals[] = [];

    stages.push(await story.stage('extract', extract, { plan, only }));
    if (plan.commit === 'run' && stopped(stages) > 0) throw partitionsStopped(plan, stages);

    stages.push(await story.stage('transform', transform, { plan, only }));
    if (plan.commit === 'run' && incomplete(stages)) continue;

    stages.push(await story.stage('load', load, { plan, only }));
    if (stages.some((stage) => stage.superseded)) return 'superseded';
    if (plan.commit === 'run' && incomplete(stages)) continue;

    if (plan.commit === 'run') return 'committed';
    const left = await countUncommitted.executeWithOptions({ summary: 'partitions left' }, [{ run: plan.run, names: only }]);
    if (left > stopped(stages)) continue;
    if (stopped(stages) > 0) throw partitionsStopped(plan, stages);
    const others = only ? await countUncommitted.executeWithOptions({ summary: 'partitions left' }, [{ run: plan.run, names: null }]) : 0;
    if (others > 0) throw partitionsLeft(plan, others);
    return 'committed';
  }
  throw passesUsedUp(PASSES);
}

function incomplete(stages: readonly StageTotals[]): boolean {
  return stages.some((stage) => stage.incomplete > 0);
}

function stopped(stages: readonly StageTotals[]): number {
  return stages.reduce((sum, stage) => sum + stage.stoppedCount, 0);
}
