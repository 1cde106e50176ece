import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { copyPartition } from './activities.ts';
import { eachPartition } from './each-partition.ts';

/** Copies the partitions of the plan into staging. */
export async function extract(input: StageInput): Promise<StageTotals> {
  return await eachPartition('extract', input, async (partition) => {
    const copied = await copyPartition.executeWithOptions(
      { summary: `copy ${partition.name}`, priority: { fairnessKey: input.plan.run.pipeline } },
      [{ run: input.plan.run, partition }],
    );
    return copied.whole ? copied : null;
  });
}
