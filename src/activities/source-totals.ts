/** What the source says of the rows of a unit, for the checks that compare with it. */
import type { SourceTotals } from '../connectors/source.ts';
import { readEnds } from '../ledger/chunks.ts';
import { FOUND_IN_STAGING, quarantinedPositions } from '../ledger/quarantine.ts';
import { readPlannedPartitions } from '../ledger/run-plan.ts';
import type { Check } from '../pipeline/checks.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { Dependencies } from './dependencies.ts';
import type { PlannedRun } from './planned-run.ts';

/** Columns that the checks add up, each once. */
export function summedColumns(checks: readonly Check[]): string[] {
  return [...new Set(checks.flatMap((check) => (check.kind === 'sumsMatchSource' ? check.columns : [])))];
}

/**
 * The first chunk whose rows in quarantine are not in staging. What a SQL transform made and was refused has been staged before.
 */
export function firstSummed(pipeline: BoundPipeline): number {
  return pipeline.sqlTransform ? FOUND_IN_STAGING + 1 : FOUND_IN_STAGING;
}

/** @returns null where no check compares with the source */
export async function askSource(
  dependencies: Dependencies,
  { pipeline, database, plan }: PlannedRun,
  runKey: string,
  partition: number | null,
): Promise<SourceTotals | null> {
  const { checks } = pipeline;
  if (!checks.some((check) => check.kind === 'rowsMatchSource' || check.kind === 'sumsMatchSource')) return null;
  const partitions = await readPlannedPartitions(database, runKey, partition);
  return await dependencies.source(pipeline.source).totals({
    partitions: partitions.map(({ planned }) => planned),
    quarantined: (nth) => quarantinedPositions(database, runKey, partitions[nth]?.id ?? 0, firstSummed(pipeline)),
    ends: await database.transaction((client) => readEnds(client, runKey, partition), { readOnly: true }),
    columns: summedColumns(checks),
    window: plan.window,
    signal: new AbortController().signal,
  });
}
