import { ActivityFailure, continueAsNew, isCancellation, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { PartitionRef } from '../src/contracts/run.ts';
import type {
  CompareInput,
  Comparison,
  VerificationPlan,
  VerifyInput,
  VerifySummary,
  VerifyTotals,
} from '../src/contracts/verification.ts';
import { compareUnit, listLoaded, planVerification } from './activities.ts';
import { reasonOf, runFailure } from './messages.ts';

const PAGE = 200;
/** Differing rows that are named. */
const ROWS_NAMED = 100;
/** Partitions that are told by name, of those that differ and of those that could not be compared. */
const PARTITIONS_NAMED = 100;
const IN_NO_PARTITION = '(in no partition)';

const NOTHING: VerifyTotals = {
  partitions: 0,
  sourceRows: 0,
  targetRows: 0,
  othersRows: 0,
  differences: { onlyInSource: 0, onlyInTarget: 0, different: 0 },
  differingPartitions: 0,
  differing: [],
  named: [],
  stopped: [],
  stoppedCount: 0,
};

/** Compares what a run should have loaded with what the target holds. It changes nothing. */
export async function verify(input: VerifyInput): Promise<VerifySummary> {
  try {
    const plan =
      input.carried?.plan ?? (await planVerification.executeWithOptions({ summary: `what to compare of ${input.run}` }, [input]));
    let totals = input.carried?.totals ?? NOTHING;
    const compare = async (partition: PartitionRef | null, name: string, how: Partial<CompareInput> = {}) => {
      try {
        const compared = await compareUnit.executeWithOptions({ summary: `compare ${name}` }, [
          {
            run: plan.run,
            partition,
            others: false,
            with: input.readAgain ? 'source' : 'any',
            name: Math.max(0, ROWS_NAMED - totals.named.length),
            ...how,
          },
        ]);
        if (!compared) return false;
        totals = add(totals, { id: partition?.id ?? -1, name }, compared, how.others ? 0 : partition ? 1 : plan.partitions);
      } catch (error) {
        if (isCancellation(error)) throw error;
        totals = stop(totals, { id: partition?.id ?? -1, name }, reasonOf(error));
      }
      setCurrentDetails(describe(plan, totals));
      return true;
    };
    const summary = (): VerifySummary => {
      const { run, pipeline } = input;
      const equal = totals.differingPartitions === 0 && totals.stoppedCount === 0;
      return { run, runKey: plan.run.key, pipeline, equal, compared: plan.compared, ...totals };
    };

    if (!plan.byPartition) await compare(null, 'all rows');
    else if (plan.recorded && !input.carried && (await compare(null, 'all rows as staged', { with: 'recorded' }))) return summary();
    for (let after = input.carried?.after ?? -1, more = plan.byPartition; more; ) {
      const page = await listLoaded.executeWithOptions({ summary: `partitions after ${after}` }, [{ run: plan.run, after, limit: PAGE }]);
      const taken = await sideBySide(page, plan.concurrency, async (partition) => {
        await compare(partition, partition.name);
      });
      after = taken?.id ?? after;
      more = page.length === PAGE || taken !== page.at(-1);
      if (more && workflowInfo().continueAsNewSuggested) {
        return await continueAsNew<typeof verify>({ ...input, carried: { plan, after, totals } });
      }
    }
    if (plan.others) await compare(null, IN_NO_PARTITION, { others: true });
    return summary();
  } catch (error) {
    // To continue as new is thrown, too.
    throw error instanceof ActivityFailure && !isCancellation(error) ? runFailure(error, input.runKey) : error;
  }
}

/** Does the work for each partition, so many at a time; gives the last one, before the end of the page where the history has grown long. */
async function sideBySide(
  partitions: readonly PartitionRef[],
  concurrency: number,
  work: (partition: PartitionRef) => Promise<void>,
): Promise<PartitionRef | undefined> {
  let taken = 0;
  const lane = async () => {
    while (taken < partitions.length && !(taken > 0 && workflowInfo().continueAsNewSuggested)) {
      const next = partitions[taken];
      taken += 1;
      if (next) await work(next);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return partitions[taken - 1];
}

function add(totals: VerifyTotals, { name }: PartitionRef, compared: Comparison, partitions: number): VerifyTotals {
  const { sourceRows, targetRows, differences, othersRows, named } = compared;
  const { onlyInSource, onlyInTarget, different } = differences;
  const differs = onlyInSource + onlyInTarget + different > 0;
  const tellIt = differs && totals.differing.length < PARTITIONS_NAMED;
  return {
    ...totals,
    partitions: totals.partitions + partitions,
    sourceRows: totals.sourceRows + sourceRows,
    targetRows: totals.targetRows + targetRows,
    othersRows: totals.othersRows + othersRows,
    differences: {
      onlyInSource: totals.differences.onlyInSource + onlyInSource,
      onlyInTarget: totals.differences.onlyInTarget + onlyInTarget,
      different: totals.differences.different + different,
    },
    differingPartitions: totals.differingPartitions + (differs ? 1 : 0),
    differing: tellIt ? [...totals.differing, { name, sourceRows, targetRows, ...differences }] : totals.differing,
    named: [...totals.named, ...named].slice(0, ROWS_NAMED),
  };
}

function stop(totals: VerifyTotals, partition: PartitionRef, reason: string): VerifyTotals {
  const stopped = totals.stopped.length < PARTITIONS_NAMED ? [...totals.stopped, { ...partition, reason }] : totals.stopped;
  return { ...totals, stopped, stoppedCount: totals.stoppedCount + 1 };
}

function describe({ partitions, compared }: VerificationPlan, totals: VerifyTotals): string {
  const count = (n: number) => n.toLocaleString('en-US');
  const { onlyInSource, onlyInTarget, different } = totals.differences;
  return (
    `${count(totals.partitions)} of ${count(partitions)} partitions · ${count(totals.sourceRows)} rows · ` +
    `**${count(onlyInSource + onlyInTarget + different)} differ**\n\n${compared}` +
    totals.stopped.map((each) => `\n- **${each.name}** not compared: ${each.reason}`).join('')
  );
}
