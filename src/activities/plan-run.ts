/**
 * Activity `planRun`: freezes everything that must not change on a retry - the definition's fingerprint, the parameters, the
 * partitions with their bounds, the columns, the watermark - in one transaction of the target database, and creates staging.
 */
import { Context } from '@temporalio/activity';
import type { Connection, Database } from '../connectors/postgres/database.ts';
import { createDirectTarget } from '../connectors/postgres/direct-target.ts';
import { requireDistinctPartitions } from '../connectors/postgres/partition-values.ts';
import { createBeside } from '../connectors/postgres/swap.ts';
import type { PlannedPartition, Source } from '../connectors/source.ts';
import type { PlanSummary, RunRef } from '../contracts/run.ts';
import type { PlanRunInput } from '../contracts/stages.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { endingBlockers } from '../ledger/fence.ts';
import { ledgerIdentity } from '../ledger/identity.ts';
import { createStagingOf } from '../ledger/landing.ts';
import { migrateLedger } from '../ledger/migrations.ts';
import {
  insertPartitions,
  insertRun,
  type RunPlan,
  readFilters,
  readNewestPlan,
  readRun,
  type StoredRun,
  updatePlan,
} from '../ledger/run-plan.ts';
import { resumeRun } from '../ledger/runs.ts';
import { besideTable } from '../ledger/staging.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import { transformedColumns } from './columns.ts';
import { decidePlan } from './decide-plan.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';

const PARTITIONS_A_STATEMENT = 500;

export function createPlanRun(dependencies: Dependencies) {
  return activity(async (input: PlanRunInput): Promise<PlanSummary> => {
    try {
      return await withHeartbeats(() => planRun(dependencies, input));
    } catch (error) {
      throw mistakeIn(error, Date.now() - Context.current().info.scheduledTimestampMs) ?? error;
    }
  });
}

/** How long a failover may take, after which a target that takes no writes is not the one that was meant. */
const FAILOVER_MS = 60_000;

/**
 * What would be an outage later is a mistake in the configuration while nothing has been reached yet.
 * @param waitedMs since planning began
 */
export function mistakeIn(error: unknown, waitedMs: number): PermanentError | null {
  if (!(error instanceof TransientError)) return null;
  if (error.code === 'UnknownHost' || (error.code === 'ReadOnly' && waitedMs > FAILOVER_MS)) {
    return new PermanentError(error.code, error.message, { cause: error });
  }
  return null;
}

async function planRun(dependencies: Dependencies, input: PlanRunInput): Promise<PlanSummary> {
  const { pipeline: defined, fingerprint } = dependencies.pipeline(input.pipeline);
  const pipeline = defined.bind(input.params);
  const run: RunRef = { key: input.runKey, workflowId: input.workflowId, pipeline: input.pipeline, params: input.params, fingerprint };
  const database = dependencies.target(pipeline);
  await database.requireVersion();
  await migrateLedger(database);

  if (input.retryOf !== null) {
    const earlier = await readNewestPlan(database, input.retryOf);
    if (earlier || !input.planned) return await resume(dependencies, database, pipeline, run, earlier);
  }
  const stored = await readRun(database, input.runKey);
  if (stored) return await summarize(dependencies, database, pipeline, { ...run, fingerprint: stored.fingerprint }, stored.plan);

  // A source of its own: files and tables as they are now, not as an earlier run of this worker saw them.
  const source = dependencies.freshSource(pipeline.source);
  try {
    return await makePlan(dependencies, database, pipeline, run, source);
  } finally {
    await source.close();
  }
}

async function makePlan(
  dependencies: Dependencies,
  database: Database,
  pipeline: BoundPipeline,
  run: RunRef,
  source: Source,
): Promise<PlanSummary> {
  const signal = Context.current().cancellationSignal;
  const { target, description, window, read, staged, choice, ...how } = await decidePlan(database, pipeline, source, signal);
  const { distinctKeys, targetRefusesTwins, unmarked, beside, direct } = how;

  const plan = await database.transaction(
    async (client) => {
      let plan: RunPlan = {
        params: run.params,
        source: description.label,
        target: `${database.label} table ${pipeline.target.table}`,
        transfer: choice.transfer,
        commit: pipeline.commit,
        read,
        staged,
        loaded: staged,
        distinctKeys,
        targetRefusesTwins,
        unmarked,
        beside,
        direct,
        window,
        rowsExpected: null,
        partitions: 0,
      };
      // A twin that hangs in the middle of its plan stands in the way here.
      const first = await endingBlockers(database, client, () => insertRun(client, { runKey: run.key, ...run, plan }));
      if (!first) return null;
      const transformed = pipeline.sqlTransform !== null;
      if (transformed) plan = { ...plan, loaded: await transformedColumns(client, pipeline, staged, target, database) };
      if (beside) await createBeside(client, { table: besideTable(run.key), ...beside }, pipeline.target, plan.loaded);
      if (direct) await createDirectTarget(client, pipeline.target, plan.loaded);
      await createStagingOf(client, run.key, plan, { transformed });
      const empty = window !== null && window.high === null;
      const partitions = empty ? nothing() : source.plan({ partitioning: pipeline.partitionBy, columns: read, window, signal });
      plan = { ...plan, ...(await storePartitions(client, run.key, partitions)) };
      if (pipeline.commit === 'partition' && pipeline.target.scope === 'partition') {
        const filters = await readFilters(client, run.key, null);
        await requireDistinctPartitions(client, filters, plan.loaded, { config: pipeline.target, exists: target.exists });
      }
      await updatePlan(client, run.key, plan);
      await faultPoint('plan:before-commit', client);
      return plan;
    },
    { lockTimeoutMs: 0 },
  );
  await faultPoint('plan:after-commit');
  if (plan) return await summarize(dependencies, database, pipeline, run, plan);
  const twin = await readRun(database, run.key);
  if (!twin) throw new TransientError('Unexpected', `Run ${run.key} was planned by another attempt and is gone again.`);
  return await summarize(dependencies, database, pipeline, { ...run, fingerprint: twin.fingerprint }, twin.plan);
}

async function resume(
  dependencies: Dependencies,
  database: Database,
  pipeline: BoundPipeline,
  run: RunRef,
  stored: StoredRun | null,
): Promise<PlanSummary> {
  if (!stored) {
    throw new PermanentError(
      'RunEnded',
      `Run ${run.key} is not in the ledger of ${database.label}; it cannot be retried. Start a new run.`,
    );
  }
  if (!['failed', 'cancelled', 'running'].includes(stored.status)) {
    throw new PermanentError('RunEnded', `Run ${run.key} ${stored.status}; there is nothing to retry. Start a new run.`);
  }
  if (stored.fingerprint !== run.fingerprint) {
    throw new PermanentError(
      'DefinitionChanged',
      `Pipeline "${run.pipeline}" has changed since run ${run.key} was planned (${stored.fingerprint} then, ${run.fingerprint} now). Start a new run.`,
    );
  }
  await resumeRun(database, stored, {
    transformed: pipeline.sqlTransform !== null,
    beforeCommit: (client) => faultPoint('resume:before-commit', client),
  });
  return await summarize(dependencies, database, pipeline, { ...run, key: stored.runKey }, stored.plan);
}

async function summarize(
  dependencies: Dependencies,
  database: Database,
  pipeline: BoundPipeline,
  run: RunRef,
  plan: RunPlan,
): Promise<PlanSummary> {
  const { window } = plan;
  const span = window ? `${window.cursor} after ${window.low?.[0] ?? 'the beginning'} to ${window.high?.[0] ?? 'nothing new'}` : undefined;
  return {
    run,
    partitions: plan.partitions,
    commit: plan.commit,
    concurrency: pipeline.concurrency,
    rowsExpected: plan.rowsExpected,
    searchAttributes: dependencies.options.searchAttributes,
    description: `${plan.source} to ${plan.target}`,
    ...(span === undefined ? {} : { window: span }),
    ledger: await ledgerIdentity(database),
  };
}

async function storePartitions(
  client: Connection,
  runKey: string,
  partitions: AsyncIterable<PlannedPartition>,
): Promise<{ partitions: number; rowsExpected: number | null }> {
  let count = 0;
  let rowsExpected: number | null = 0;
  let page: PlannedPartition[] = [];
  const flush = async () => {
    if (page.length > 0) await insertPartitions(client, runKey, count, page);
    count += page.length;
    page = [];
  };
  for await (const partition of partitions) {
    rowsExpected = rowsExpected === null || partition.rowsExpected === null ? null : rowsExpected + partition.rowsExpected;
    page.push(partition);
    if (page.length >= PARTITIONS_A_STATEMENT) await flush();
  }
  await flush();
  return { partitions: count, rowsExpected };
}

async function* nothing(): AsyncGenerator<PlannedPartition> {}
