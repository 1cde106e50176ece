import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { copyPartition } from './activities.ts';
import { eachPartition } from './each-partition.ts';

/** Runs take turns, also those of one pipeline. Of a run's key the part that tells it apart: the server takes at most 64 bytes. */
function fairnessKey(runKey: string): string {
  return runKey.slice(runKey.lastIndexOf('/') + 1);
}

/** Copies the partitions of the plan into staging. */
export async function extract(input: StageInput): Promise<StageTotals> {
  return await eachPartition('extract', input, async (partition) => {
    const copied = await copyPartition.executeWithOptions(
      { summary: `copy ${partition.name}`, priority: { fairnessKey: fairnessKey(input.plan.run.key) } },
      [{ run: input.plan.run, partition }],
    );
    return copied.whole ? copied : null;
  });
}
