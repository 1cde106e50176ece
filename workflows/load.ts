import { CancellationScope } from '@temporalio/workflow';
import type { PartitionRef } from '../src/contracts/run.ts';
import type { StageInput, StageTotals } from '../src/contracts/stages.ts';
import { commitUnit } from './activities.ts';
import { eachPartition, oneUnit } from './each-partition.ts';

/** Commits what was checked: the run, or each partition by itself. A commit that has begun is not cancelled. */
export async function load(input: StageInput): Promise<StageTotals> {
  const { run, commit } = input.plan;
  const unit = async (partition: PartitionRef | null): Promise<Partial<StageTotals>> => {
    const summary = `commit ${partition?.name ?? 'the run'}`;
    const committed = await CancellationScope.nonCancellable(() => commitUnit.executeWithOptions({ summary }, [{ run, partition }]));
    if (committed.status === 'incomplete') return { incomplete: committed.missing };
    if (committed.status === 'superseded') return { superseded: true };
    return { rowsLoaded: committed.rowsLoaded };
  };
  return commit === 'run' ? oneUnit(await unit(null)) : await eachPartition('load', input, unit);
}
