/**
 * Activity `compareUnit`: compares what a run should have brought with the target: a partition, all of the run, or the rows of the target
 * that are in no partition. It reads, and keeps nothing: it may run again, beside itself, and be killed.
 */
import { Context } from '@temporalio/activity';
import type { ComparableRows, OpenRows } from '../connectors/comparable-rows.ts';
import { openTargetRows, primaryKey } from '../connectors/postgres/open-rows.ts';
import { storablePartitions } from '../connectors/postgres/partition-values.ts';
import type { CursorWindow, PartitionFilter } from '../connectors/source.ts';
import type { CompareInput, Comparison } from '../contracts/verification.ts';
import { readStagedDigest } from '../ledger/commits.ts';
import { unitName } from '../ledger/fence.ts';
import { hasQuarantined, readLoaded, readLoadedFilters } from '../ledger/loaded-partitions.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import { type CompareOptions, compareRows } from './compare-rows.ts';
import type { Dependencies } from './dependencies.ts';
import { activity, Handover } from './failures.ts';
import { withHeartbeats } from './heartbeats.ts';
import { type PlannedRun, plannedRun } from './planned-run.ts';
import { withRowsMadeAgain } from './rows-made-again.ts';

export function createCompareUnit(dependencies: Dependencies) {
  return activity(async (input: CompareInput): Promise<Comparison | null> => {
    const planned = await plannedRun(dependencies, input.run);
    const { stopping } = dependencies.options;
    const signal = AbortSignal.any([Context.current().cancellationSignal, stopping]);
    try {
      return await withHeartbeats(() => compareUnit(dependencies, planned, input, signal));
    } catch (error) {
      if (stopping.aborted) throw new Handover(`verifying ${input.partition?.name ?? 'all rows'}`);
      throw error;
    }
  });
}

async function compareUnit(
  dependencies: Dependencies,
  planned: PlannedRun,
  { run, partition, others, name, with: wanted }: CompareInput,
  signal: AbortSignal,
): Promise<Comparison | null> {
  const { pipeline, database, plan } = planned;
  const id = partition?.id ?? null;
  const loaded = await readLoadedFilters(database, run.key, id);
  const filters = await database.transaction((client) => storablePartitions(client, loaded, plan.loaded), { readOnly: true });
  const key = await keyOf(planned, signal);
  const target = await openTargetRows(database, {
    table: pipeline.target.table,
    columns: plan.loaded,
    key,
    filters: partition || others ? filters : targetFilters(planned, filters),
    others,
    window: targetWindow(plan),
    signal,
  });
  const options: CompareOptions = { exact: pipeline.target.mode === 'replace', key, name, partition: partition?.name ?? null };
  try {
    if (others) return await compareRows(NO_ROWS, target, options);
    if (wanted !== 'source') {
      const equal = await compareWithRecorded(dependencies, planned, run.key, id, target, signal);
      if (equal || wanted === 'recorded') return equal;
    }
    const source = await openSource(dependencies, planned, { runKey: run.key, id, filters, key, signal });
    if (source) {
      try {
        if (source.hashProbe === target.hashProbe) return await compareRows(source, target, options);
      } finally {
        source.close();
      }
    }
    return await withRowsMadeAgain(dependencies, planned, { run, partition: id, key, signal }, (made) =>
      compareRows(made, target, options),
    );
  } finally {
    target.close();
  }
}

/** The comparison where the target holds what the load recorded of the rows as staged; null where it has not recorded it, or not. */
async function compareWithRecorded(
  dependencies: Dependencies,
  { pipeline, database }: PlannedRun,
  runKey: string,
  partition: number | null,
  target: OpenRows,
  signal: AbortSignal,
): Promise<Comparison | null> {
  const unit = partition === null ? null : unitName('load', partition);
  const staged = await readStagedDigest(database, runKey, unit);
  if (!staged) return null;
  const found = await target.digest();
  if (staged.rows !== found.rows || staged.hashes !== found.hashes) return null;
  const source = dependencies.source(pipeline.source);
  for (const { plan } of await readLoaded(database, runKey, partition)) await source.verify(plan, signal);
  return {
    sourceRows: staged.rows,
    targetRows: found.rows,
    differences: { onlyInSource: 0, onlyInTarget: 0, different: 0 },
    othersRows: 0,
    named: [],
  };
}

/** The source's own rows where the load has not changed or refused any of them; null where they must be made again. */
async function openSource(
  dependencies: Dependencies,
  { pipeline, database, plan }: PlannedRun,
  of: { runKey: string; id: number | null; filters: readonly PartitionFilter[]; key: readonly string[]; signal: AbortSignal },
): Promise<OpenRows | null> {
  const source = dependencies.source(pipeline.source);
  if (!source.openRows || plan.transfer !== 'binary' || pipeline.sqlTransform) return null;
  if (await hasQuarantined(database, of.runKey, of.id)) return null;
  return await source.openRows({
    columns: plan.loaded.map(({ name, sqlType }) => ({ name, sqlType, read: plan.read.includes(name) })),
    key: of.key,
    filters: of.filters,
    window: plan.window,
    signal: of.signal,
  });
}

/** Columns that tell a loaded row apart: the target's key, else its primary key. Without one whole rows are compared. */
async function keyOf({ pipeline, database, plan }: PlannedRun, signal: AbortSignal): Promise<readonly string[]> {
  const key = pipeline.target.key ?? (await primaryKey(database, pipeline.target.table, signal));
  return key.every((name) => plan.loaded.some((column) => column.name === name)) ? key : [];
}

/** The target's rows of these partitions, where they can be told there; null for all its rows. */
function targetFilters({ pipeline, plan }: PlannedRun, filters: readonly PartitionFilter[]): readonly PartitionFilter[] | null {
  const { mode, scope } = pipeline.target;
  if (scope === 'partition') return filters;
  // What a transform makes of a row may belong to another partition.
  if (mode === 'replace' || pipeline.rowFunction || pipeline.sqlTransform) return null;
  const known = (filter: PartitionFilter) => !('column' in filter) || plan.loaded.some((column) => column.name === filter.column);
  return filters.every(known) ? filters : null;
}

/** Text may have another order there: then all of the target's rows are looked at. */
const ORDERED_ALIKE = /^(smallint|integer|bigint|numeric|date|timestamp|uuid)/;

function targetWindow({ window, loaded }: RunPlan): CursorWindow | null {
  if (!window) return null;
  const alike = [window.cursor, ...window.key].every((name) =>
    loaded.some((column) => column.name === name && ORDERED_ALIKE.test(column.sqlType)),
  );
  return alike ? window : null;
}

const NO_ROWS: ComparableRows = {
  digest: async () => ({ rows: 0, hashes: '0' }),
  buckets: async () => new Map(),
  hashes: async function* () {},
  show: async () => [],
};
