import { CancellationScope, CancelledFailure, isCancellation } from '@temporalio/workflow';
import { keyAfter } from '../src/contracts/names.ts';
import type { PipelineInput, PlanSummary, RunSummary } from '../src/contracts/run.ts';
import type { RunTotals, StageTotals } from '../src/contracts/stages.ts';
import { abandonPlan, countUncommitted, finishRun, leaveRun, planRun } from './activities.ts';
import { extract } from './extract.ts';
import { load } from './load.ts';
import { isPlanLost, leftBehind, reasonOf, runFailure } from './messages.ts';
import { baseRunKey, partitionsLeft, partitionsStopped, passesUsedUp, requireInput, summarize } from './run-outcome.ts';
import { RunStory } from './run-story.ts';
import { transform } from './transform.ts';

/** After so many rounds something other than crashes of the database must be wrong. */
const PASSES = 50;
/** So often a run begins again because the database has forgotten it. */
const MOST_LOST = 10;

/**
 * One run of a pipeline: plan, extract, transform, load, tell. What is transient is retried underneath; what fails for good ends
 * up in the one `catch`.
 */
export async function pipeline(input: PipelineInput): Promise<RunSummary> {
  requireInput(input);
  const story = new RunStory(input);
  const params = input.params ?? {};
  let plan: PlanSummary | null = null;
  let key = baseRunKey(input);
  try {
    for (let lost = 0; ; ) {
      plan = await planRun.executeWithOptions({ summary: `plan ${input.pipeline}` }, [
        {
          runKey: key,
          workflowId: story.workflowId,
          pipeline: input.pipeline,
          params,
          retryOf: input.retry ? key : null,
          planned: plan !== null,
        },
      ]);
      key = plan.run.key;
      story.planned(plan);
      try {
        const totals = await moveRows(story, plan, input);
        if (totals) {
          story.ended('succeeded', '');
          return summarize(story.workflowId, plan, totals);
        }
        // Another run moved the watermark in the meantime: plan again from there.
        key = keyAfter(key);
      } catch (error) {
        // A failover of the database has lost the run's plan: the ledger is the authority, and it begins again.
        lost += 1;
        if (!isPlanLost(error) || lost > MOST_LOST) throw error;
      }
    }
  } catch (error) {
    const outcome = wasCancelled(error) ? 'cancelled' : 'failed';
    const reason = reasonOf(error);
    const run = plan?.run;
    const tidyUp = { summary: `${outcome}: tidy up` };
    const left = await CancellationScope.nonCancellable(async () => {
      if (run) await leaveRun.executeWithOptions(tidyUp, [{ run, outcome, reason }]);
      // The plan may have been written all the same.
      else if (outcome === 'cancelled')
        await abandonPlan.executeWithOptions(tidyUp, [{ runKey: key, pipeline: input.pipeline, params, reason }]);
    }).then(() => '', leftBehind);
    const told = [reason, left].filter(Boolean).join('\n');
    story.ended(outcome, told);
    throw outcome === 'cancelled' ? new CancelledFailure(told) : runFailure(error, run?.key ?? null, told);
  }
}

/** Once a run is asked to stop, Temporal does not try again what fails, as where a worker dies: that says nothing about the run. */
function wasCancelled(error: unknown): boolean {
  return CancellationScope.current().consideredCancelled || isCancellation(error);
}

/**
 * Until all is in the target, and the ledger says so: what a crash of the database took from staging is extracted again, and so is what a failover
 * took from the target.
 *
 * @returns null where another run was faster
 */
async function moveRows(story: RunStory, plan: PlanSummary, input: PipelineInput): Promise<RunTotals | null> {
  // What is committed at once is retried at once.
  const only = plan.commit !== 'run' ? (input.retry?.partitions ?? null) : null;
  // Its chunks are committed as they are copied.
  const isDirect = plan.commit === 'chunk';
  for (let pass = 0; pass < PASSES; pass += 1) {
    const stages: StageTotals[] = [];

    stages.push(await story.stage('extract', extract, { plan, only }));
    if (plan.commit === 'run' && stopped(stages) > 0) throw partitionsStopped(plan, stages);

    if (!isDirect) stages.push(await story.stage('transform', transform, { plan, only }));
    if (plan.commit === 'run' && incomplete(stages)) continue;

    if (!isDirect) stages.push(await story.stage('load', load, { plan, only }));
    if (stages.some((stage) => stage.superseded)) {
      await finishRun.executeWithOptions({ summary: 'put aside: another run was faster' }, [
        { run: plan.run, outcome: 'superseded', reason: null },
      ]);
      return null;
    }
    if (plan.commit === 'run' && incomplete(stages)) continue;

    if (plan.commit !== 'run' && !(await allCommitted(plan, stages, only))) continue;
    const { run } = plan;
    const totals = await CancellationScope.nonCancellable(() =>
      finishRun.executeWithOptions({ summary: 'finish' }, [{ run, outcome: 'succeeded', reason: null }]),
    );
    if (!totals.missing) return totals;
  }
  throw passesUsedUp(PASSES);
}

/**
 * False where a crash of the database has emptied the staging of a partition.
 * @throws ApplicationFailure where partitions have stopped, or only some were asked for
 */
async function allCommitted(plan: PlanSummary, stages: readonly StageTotals[], only: readonly string[] | null): Promise<boolean> {
  const left = await countUncommitted.executeWithOptions({ summary: 'partitions left' }, [{ run: plan.run, names: only }]);
  if (left > stopped(stages)) return false;
  if (stopped(stages) > 0) throw partitionsStopped(plan, stages);
  const others = only ? await countUncommitted.executeWithOptions({ summary: 'partitions left' }, [{ run: plan.run, names: null }]) : 0;
  if (others > 0) throw partitionsLeft(plan, others);
  return true;
}

function incomplete(stages: readonly StageTotals[]): boolean {
  return stages.some((stage) => stage.incomplete > 0);
}

function stopped(stages: readonly StageTotals[]): number {
  return stages.reduce((sum, stage) => sum + stage.stoppedCount, 0);
}
