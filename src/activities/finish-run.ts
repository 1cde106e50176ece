/** Activity `finishRun`: writes how the run ended, with its totals, and takes its staging away. May be called again. */
import type { FinishRunInput, RunTotals } from '../contracts/stages.ts';
import { readWatermark } from '../ledger/commits.ts';
import { quarantineReasons } from '../ledger/quarantine.ts';
import { endedTotals, endRun, sumChunks, sumCommits } from '../ledger/runs.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { plannedRun } from './planned-run.ts';

export function createFinishRun(dependencies: Dependencies) {
  return activity(
    async ({ run, outcome, reason }: FinishRunInput): Promise<RunTotals> =>
      await withHeartbeats(async () => {
        const { pipeline, database, plan } = await plannedRun(dependencies, run);
        const ended = (await endedTotals(database, run.key)) as RunTotals | null;
        if (ended) {
          await endRun(database, run.key, outcome, reason, ended);
          return ended;
        }
        const commits = await sumCommits(database, run.key);
        const totals: RunTotals = {
          ...(await sumChunks(database, run.key)),
          rowsLoaded: commits.rowsLoaded,
          rowsChanged: commits.rowsChanged,
          partitionsCommitted: commits.whole ? plan.partitions : commits.units,
          quarantine: await quarantineReasons(database, run.key, null),
          target: plan.target,
          watermark: pipeline.incremental ? await readWatermark(database, run.pipeline) : null,
        };
        await faultPoint('finish:before-end');
        await endRun(database, run.key, outcome, reason, totals);
        await faultPoint('finish:after-end');
        return totals;
      }),
  );
}
