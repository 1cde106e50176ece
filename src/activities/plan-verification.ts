/** Activity `planVerification`: finds the run in the ledger, and decides what is compared with what. */
import type { PartitionFilter } from '../connectors/source.ts';
import type { RunRef } from '../contracts/run.ts';
import type { VerificationPlan, VerifyInput } from '../contracts/verification.ts';
import { PermanentError } from '../errors.ts';
import { readStagedDigest } from '../ledger/commits.ts';
import { readLoadedFilters } from '../ledger/loaded-partitions.ts';
import { type RunPlan, readNewestPlan } from '../ledger/run-plan.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { withHeartbeats } from './heartbeats.ts';

export function createPlanVerification(dependencies: Dependencies) {
  return activity(
    async (input: VerifyInput): Promise<VerificationPlan> => await withHeartbeats(() => planVerification(dependencies, input)),
  );
}

async function planVerification(dependencies: Dependencies, input: VerifyInput): Promise<VerificationPlan> {
  const { pipeline: defined, fingerprint } = dependencies.pipeline(input.pipeline);
  const pipeline = defined.bind(input.params ?? {});
  const database = dependencies.target(pipeline);
  const stored = await readNewestPlan(database, input.runKey);
  if (!stored) throw new PermanentError('RunEnded', `Run ${input.run} is not in the ledger of ${database.label}; it cannot be verified.`);
  if (stored.status === 'running') {
    throw new PermanentError(
      'StillRunning',
      `${input.run} has not ended. Verify it when it has: "sluice show ${input.run}" says how it goes.`,
    );
  }
  if (stored.fingerprint !== fingerprint) {
    throw new PermanentError(
      'DefinitionChanged',
      `Pipeline "${input.pipeline}" has changed since ${input.run} was planned (${stored.fingerprint} then, ${fingerprint} now): what it ` +
        'should have loaded cannot be told any more. Run it again and verify that run.',
    );
  }
  const filters = await readLoadedFilters(database, stored.runKey, null);
  if (filters.length === 0 && stored.plan.partitions > 0) {
    throw new PermanentError('NothingToVerify', `${input.run} ${stored.status} and has loaded nothing; there is nothing to verify.`);
  }
  const run: RunRef = {
    key: stored.runKey,
    workflowId: stored.workflowId,
    pipeline: input.pipeline,
    params: input.params ?? {},
    fingerprint,
  };
  const byPartition = canTellApart(pipeline, stored.plan, filters);
  const wholeTable = pipeline.target.mode === 'replace' && pipeline.target.scope === 'table';
  return {
    run,
    byPartition,
    others: byPartition && wholeTable,
    recorded:
      byPartition && pipeline.commit === 'run' && !input.readAgain && (await readStagedDigest(database, stored.runKey, null)) !== null,
    partitions: filters.length,
    concurrency: pipeline.concurrency,
    compared: inWords(pipeline),
  };
}

/** Types whose order is the same in every database. */
const ORDERED_ALIKE = /^(smallint|integer|bigint|numeric|real|double precision|date|timestamp|uuid)/;

/** Whether the target's rows of a partition can be told from those of others, and be compared by themselves. */
function canTellApart(pipeline: BoundPipeline, plan: RunPlan, filters: readonly PartitionFilter[]): boolean {
  // A SQL transform of the whole run makes rows of no partition.
  if (pipeline.sqlTransform && pipeline.commit === 'run') return false;
  // What a transform makes of a row may belong to another partition, unless the target is written by partition.
  if ((pipeline.rowFunction || pipeline.sqlTransform) && pipeline.target.scope !== 'partition') return false;
  return filters.every((filter) => {
    if (filter.kind === 'none') return true;
    if (filter.kind === 'all') return false;
    const column = plan.loaded.find((each) => each.name === filter.column);
    return column !== undefined && (filter.kind === 'equals' || ORDERED_ALIKE.test(column.sqlType));
  });
}

function inWords({ target, rowFunction, sqlTransform }: BoundPipeline): string {
  const source = rowFunction || sqlTransform ? 'what the transform makes of the source' : 'the rows of the source';
  const table = `table "${target.table}"`;
  switch (target.mode) {
    case 'append':
      return `${source} and ${table}, which may hold rows of other runs`;
    case 'upsert':
      return `${source} and the rows with their keys in ${table}, which may hold others`;
    case 'replace':
      return target.scope === 'table' ? `${source} and all of ${table}` : `${source} and the same partitions of ${table}`;
  }
}
