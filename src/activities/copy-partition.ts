/** Activity `copyPartition`: copies one partition chunk by chunk into staging, going on where the ledger says, for one turn. */
import { Context } from '@temporalio/activity';
import type { Counts } from '../contracts/run.ts';
import type { CopyHeartbeat, CopyPartitionInput, CopyPartitionResult } from '../contracts/stages.ts';
import { type PartitionState, readPartitionState } from '../ledger/chunks.ts';
import { unitName } from '../ledger/fence.ts';
import { readPartition } from '../ledger/run-plan.ts';
import { attempt } from './attempt.ts';
import { ChunkCopier } from './chunk-copier.ts';
import { needsCare } from './chunk-writer.ts';
import type { Dependencies } from './dependencies.ts';
import { activity, Handover } from './failures.ts';
import { withHeartbeats } from './heartbeats.ts';
import { plannedRun } from './planned-run.ts';

/**
 * So long a partition keeps the slot of a worker, about; then it goes on behind those that wait, with its next chunk. Temporal's fairness
 * orders who waits, and cannot take a slot away from who has one. Turns differ in length, so that those which begin together do not end so.
 */
const TURN_MS = { least: 10_000, most: 20_000 };

export function createCopyPartition(dependencies: Dependencies) {
  return activity(async ({ run, partition }: CopyPartitionInput): Promise<CopyPartitionResult> => {
    const { pipeline, database, plan, tables } = await plannedRun(dependencies, run);
    const cancelled = Context.current().cancellationSignal;
    const { stopping, identity } = dependencies.options;
    let counts: Counts = { rowsRead: 0, rowsStaged: 0, rowsQuarantined: 0, chunks: 0 };

    return await withHeartbeats(
      async () => {
        return await attempt(database, run.key, unitName('copy', partition.id), identity, async ({ fence, reachedBoth }) => {
          const [planned, resumed] = await Promise.all([
            readPartition(database, run.key, partition.id),
            readPartitionState(database, run.key, partition.id),
          ]);
          if (resumed.whole) return result(resumed, true);
          const source = dependencies.source(pipeline.source);
          await source.verify(planned, cancelled);
          await reachedBoth();
          const table = tables.extracted;
          const copier = new ChunkCopier({ database, source, pipeline, plan, fence, partition: partition.id, planned, table });
          let state: PartitionState = resumed;
          counts = state;
          const turnEnds = Date.now() + TURN_MS.least + Math.random() * (TURN_MS.most - TURN_MS.least);
          while (!state.whole) {
            if (stopping.aborted) throw new Handover(`partition ${partition.name}`);
            if (cancelled.aborted) return result(state, false);
            state = await copier.copyNext(state).catch((error) => {
              // This chunk again row by row, so that only the rows that staging refuses stay behind.
              if (needsCare(error)) return copier.copyNextCarefully(state);
              throw error;
            });
            counts = state;
            if (Date.now() > turnEnds) break;
          }
          return result(state, state.whole);
        });
      },
      (): CopyHeartbeat => ({ partition: partition.name, ...pick(counts) }),
    );
  });
}

function result(state: Counts, whole: boolean): CopyPartitionResult {
  return { ...pick(state), whole };
}

function pick({ rowsRead, rowsStaged, rowsQuarantined, chunks }: Counts): Counts {
  return { rowsRead, rowsStaged, rowsQuarantined, chunks };
}
