import type { PartitionRef } from '../src/contracts/run.ts';
import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { checkUnit, transformUnit } from './activities.ts';
import { eachPartition, oneUnit } from './each-partition.ts';

/** Transforms and checks what is staged: all of the run, or each partition by itself. */
export async function transform(input: StageInput): Promise<StageTotals> {
  const { run, commit } = input.plan;
  const unit = async (partition: PartitionRef | null): Promise<Partial<StageTotals>> => {
    const name = partition?.name ?? 'all rows';
    const transformed = await transformUnit.executeWithOptions({ summary: `transform ${name}` }, [{ run, partition }]);
    if (transformed.status === 'incomplete') return { incomplete: transformed.missing };
    const checked = await checkUnit.executeWithOptions({ summary: `check ${name}` }, [{ run, partition }]);
    if (checked.status === 'incomplete') return { incomplete: checked.missing };
    return { rowsQuarantined: transformed.rowsQuarantined };
  };
  return commit === 'run' ? oneUnit(await unit(null)) : await eachPartition('transform', input, unit);
}
