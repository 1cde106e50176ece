/**
 * Does the partitions of a stage side by side, in pages from the ledger. Pausing and continuing as new drain what is in flight first, and so does
 * the end of a stage whose plan is lost.
 */
import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PartitionRef, Stage } from '../src/contracts/run.ts';
import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { listPartitions } from './activities.ts';
import { isPlanLost, pauseSignal, reasonOf, resumeSignal, stageProgressSignal } from './messages.ts';

/** What one partition adds to the totals; null where it was asked to stop before it was done. */
export type PartitionWork = (partition: PartitionRef) => Promise<Partial<StageTotals> | null>;

const PAGE = 200;
/** Stopped partitions that are told by name. */
const STOPPED_NAMED = 20;
const REPORT_MS = 2_000;
/** Reports grow rarer with the age of the stage, so that a long one does not fill its pipeline's history. */
const REPORTS_A_LIFE = 50;

const NOTHING: StageTotals = {
  partitions: 0,
  chunks: 0,
  rowsRead: 0,
  rowsStaged: 0,
  rowsQuarantined: 0,
  rowsLoaded: 0,
  stopped: [],
  stoppedCount: 0,
  incomplete: 0,
  superseded: false,
};

export async function eachPartition(stage: Stage, input: StageInput, work: PartitionWork): Promise<StageTotals> {
  const { plan } = input;
  let paused = input.paused;
  let totals = input.carried?.totals ?? NOTHING;
  let listedTo = input.carried?.after ?? -1;
  let listedAll = false;
  let waiting: PartitionRef[] = [];
  let scope = new CancellationScope();
  let moved = 0;
  /** Why no partition can go on: the ledger has forgotten the run. */
  let lost: unknown = null;
  const inFlight = new Set<number>();
  const report = reporter(stage);

  setHandler(pauseSignal, () => {
    paused = true;
    scope.cancel();
    // At once, for a resume may come before the loop below has seen the pause.
    scope = new CancellationScope();
  });
  setHandler(resumeSignal, () => {
    paused = false;
  });

  const start = (partition: PartitionRef) => {
    inFlight.add(partition.id);
    const own = scope;
    own
      .run(() => work(partition))
      .then(
        (added) => {
          if (added) totals = add(totals, added);
          else waiting.unshift(partition);
        },
        (error) => {
          if (!own.consideredCancelled && isPlanLost(error)) {
            lost = error;
            own.cancel();
          }
          // Once asked to stop, a copy whose worker has died is not tried again by Temporal: it failed of that, not of its rows.
          if (own.consideredCancelled) waiting.unshift(partition);
          else totals = stop(totals, partition, reasonOf(error));
        },
      )
      .finally(() => {
        inFlight.delete(partition.id);
        moved += 1;
      });
  };
  const drained = () => condition(() => inFlight.size === 0);

  try {
    for (;;) {
      setCurrentDetails(describe(stage, totals, plan.partitions, paused));
      if (lost) {
        await drained();
        throw lost;
      }
      if (paused) {
        await drained();
        report(totals, true);
        await condition(() => !paused);
      }
      if (workflowInfo().continueAsNewSuggested) {
        await drained();
        report(totals, true);
        const after = Math.min(listedTo, ...waiting.map((partition) => partition.id - 1));
        return await continueAsNew<(next: StageInput) => Promise<StageTotals>>({ ...input, paused, carried: { after, totals } });
      }
      if (waiting.length === 0 && !listedAll) {
        const page = await listPartitions.executeWithOptions({ summary: `partitions after ${listedTo}` }, [
          { run: plan.run, stage, after: listedTo, limit: PAGE, names: input.only },
        ]);
        const listed = page.filter((partition) => !inFlight.has(partition.id));
        // One whose turn ended meanwhile is waiting already. Histories of before have lost it until the next pass.
        if (waiting.length > 0 && patched('turn-ended-while-listing')) waiting.push(...listed);
        else waiting = listed;
        listedTo = page.at(-1)?.id ?? listedTo;
        listedAll = page.length < PAGE;
      }
      while (!paused && inFlight.size < plan.concurrency) {
        const next = waiting.shift();
        if (!next) break;
        start(next);
      }
      if (inFlight.size === 0 && waiting.length === 0 && listedAll && !paused) break;
      const seen = moved;
      await condition(() => moved > seen || paused);
      report(totals, false);
    }
  } catch (error) {
    // Cancelled: what is in flight ends after its chunk, and only then this stage.
    if (isCancellation(error)) await CancellationScope.nonCancellable(drained);
    throw error;
  }
  setCurrentDetails(describe(stage, totals, plan.partitions, false));
  return totals;
}

/** Totals of a stage that is done as one unit. */
export function oneUnit(added: Partial<StageTotals>): StageTotals {
  return add(NOTHING, added);
}

function add(totals: StageTotals, added: Partial<StageTotals>): StageTotals {
  return {
    partitions: totals.partitions + (added.partitions ?? 1),
    chunks: totals.chunks + (added.chunks ?? 0),
    rowsRead: totals.rowsRead + (added.rowsRead ?? 0),
    rowsStaged: totals.rowsStaged + (added.rowsStaged ?? 0),
    rowsQuarantined: totals.rowsQuarantined + (added.rowsQuarantined ?? 0),
    rowsLoaded: totals.rowsLoaded + (added.rowsLoaded ?? 0),
    stopped: totals.stopped,
    stoppedCount: totals.stoppedCount,
    incomplete: totals.incomplete + (added.incomplete ?? 0),
    superseded: totals.superseded || (added.superseded ?? false),
  };
}

function stop(totals: StageTotals, partition: PartitionRef, reason: string): StageTotals {
  const known = totals.stopped.some((each) => each.id === partition.id);
  if (known) return totals;
  const stopped = totals.stopped.length < STOPPED_NAMED ? [...totals.stopped, { ...partition, reason }] : totals.stopped;
  return { ...totals, stopped, stoppedCount: totals.stoppedCount + 1 };
}

function describe(stage: Stage, totals: StageTotals, planned: number, paused: boolean): string {
  const count = (n: number) => n.toLocaleString('en-US');
  const parts = [`${count(totals.partitions)} of ${count(planned)} partitions`];
  if (stage === 'extract') parts.push(`${count(totals.rowsRead)} rows in ${count(totals.chunks)} chunks`);
  if (totals.rowsQuarantined > 0) parts.push(`${count(totals.rowsQuarantined)} rows quarantined`);
  const stopped = totals.stopped.map((each) => `\n- **${each.name}** stopped: ${each.reason}`).join('');
  return `${paused ? '**paused** ' : ''}${parts.join(' · ')}${stopped}`;
}

/** Tells the pipeline how far the stage is, not too often. */
function reporter(stage: Stage): (totals: StageTotals, now: boolean) => void {
  const { parent } = workflowInfo();
  const began = Date.now();
  let last = began;
  return (totals, now) => {
    if (!parent) return;
    const age = Date.now() - began;
    if (!now && Date.now() - last < Math.max(REPORT_MS, age / REPORTS_A_LIFE)) return;
    last = Date.now();
    CancellationScope.nonCancellable(() =>
      getExternalWorkflowHandle(parent.workflowId, parent.runId).signal(stageProgressSignal, { stage, totals }),
    ).catch(() => {});
  };
}
