/**
 * Activity `finishRun`: writes how the run ended, with its totals, and takes its staging away. May be called again.
 *
 * Success is said when the ledger has every commit and, where there is a synchronous standby, that has them too.
 */
import type { RunRef } from '../contracts/run.ts';
import type { FinishRunInput, RunTotals } from '../contracts/stages.ts';
import { TransientError } from '../errors.ts';
import { acknowledge, wasAcknowledged } from '../ledger/acknowledge.ts';
import { readWatermark } from '../ledger/commits.ts';
import { quarantineReasons } from '../ledger/quarantine.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import { endedTotals, endRun, sumChunks, sumCommits } from '../ledger/runs.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { type PlannedRun, plannedRun, recordedRun } from './planned-run.ts';

export function createFinishRun(dependencies: Dependencies) {
  return activity(
    async ({ run, outcome, reason }: FinishRunInput): Promise<RunTotals> =>
      await withHeartbeats(async () => {
        // Only what a success waits for stands in the definition.
        const planned = outcome === 'succeeded' ? await plannedRun(dependencies, run) : null;
        const recorded = planned ?? (await recordedRun(dependencies, run));
        const { database } = recorded;
        const ended = (await endedTotals(database, run.key)) as RunTotals | null;
        const totals = ended ?? (await countTotals(run, recorded));
        if (planned && totals.missing) return totals;
        await faultPoint('finish:before-end');
        await endRun(database, run.key, outcome, reason, totals);
        await faultPoint('finish:after-end');
        return planned ? { ...totals, replicated: await requireReplicated(run, planned) } : totals;
      }),
  );
}

async function countTotals(run: RunRef, { database, plan }: Pick<PlannedRun, 'database' | 'plan'>): Promise<RunTotals> {
  const commits = await sumCommits(database, run.key);
  return {
    ...(await sumChunks(database, run.key)),
    rowsLoaded: commits.rowsLoaded,
    rowsChanged: commits.rowsChanged,
    partitionsCommitted: commits.whole ? plan.partitions : commits.units,
    quarantine: await quarantineReasons(database, run.key, null),
    target: plan.target,
    watermark: plan.window ? await readWatermark(database, run.pipeline) : null,
    missing: missingUnits(plan, commits),
  };
}

function missingUnits(plan: RunPlan, commits: { readonly units: number; readonly whole: boolean }): number {
  if (plan.commit === 'run') return commits.whole ? 0 : 1;
  return plan.partitions - commits.units;
}

/** @throws TransientError `Unreplicated` where the pipeline waits for a standby, and there is none at the moment */
async function requireReplicated(run: RunRef, { pipeline, database }: PlannedRun): Promise<boolean | null> {
  const { replicated } = pipeline.target;
  if (await acknowledge(database, run.key)) return true;
  if (replicated === 'report' || (replicated === 'auto' && (await wasAcknowledged(database)))) return false;
  if (replicated !== 'wait') return null;
  throw new TransientError(
    'Unreplicated',
    `${database.label} has no synchronous standby at the moment. The rows are committed; the run ends when a standby has them (replicated: 'wait'). Look after the standby.`,
    { blameless: true },
  );
}
