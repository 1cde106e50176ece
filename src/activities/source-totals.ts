/** What the source says of the rows of a unit, for the checks that compare with it. */
import type { SourceTotals } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import { readEnds } from '../ledger/chunks.ts';
import { readPlannedPartitions } from '../ledger/run-plan.ts';
import type { Check } from '../pipeline/checks.ts';
import type { Dependencies } from './dependencies.ts';
import type { PlannedRun } from './planned-run.ts';

/** Columns that the checks add up, each once. */
export function summedColumns(checks: readonly Check[]): string[] {
  return [...new Set(checks.flatMap((check) => (check.kind === 'sumsMatchSource' ? check.columns : [])))];
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
  const source = dependencies.source(pipeline.source);
  if (!source.totals) throw new PermanentError('InvalidDefinition', `A ${source.kind} source cannot count its rows.`);
  return await source.totals({
    partitions: await readPlannedPartitions(database, runKey, partition),
    ends: await database.transaction((client) => readEnds(client, runKey, partition), { readOnly: true }),
    columns: summedColumns(checks),
    window: plan.window,
    signal: new AbortController().signal,
  });
}
