/** What a run would do: the part of planning that only reads. `planRun` freezes it, and `sluice explain` shows it. */
import type { Database } from '../connectors/postgres/database.ts';
import { inspectTarget, type TargetTable } from '../connectors/postgres/target-table.ts';
import type { CursorWindow, Source, SourceDescription, Transfer, TransferRequest } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import { readWatermark } from '../ledger/commits.ts';
import type { PlannedColumn } from '../ledger/run-plan.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import { readColumns, requireTypesFit, stagedColumns } from './columns.ts';
import { summedColumns } from './source-totals.ts';

export interface DecidedPlan {
  readonly target: TargetTable;
  readonly description: SourceDescription;
  readonly window: CursorWindow | null;
  readonly read: readonly string[];
  readonly staged: readonly PlannedColumn[];
  readonly transfer: Transfer;
}

/** @throws PermanentError where source, row schema and target do not fit one another */
export async function decidePlan(database: Database, pipeline: BoundPipeline, source: Source, signal: AbortSignal): Promise<DecidedPlan> {
  const [target, description] = await Promise.all([inspectTarget(database, pipeline.target), source.describe(signal)]);
  const window = await nextWindow(database, pipeline, source, description, signal);
  const read = readColumns(pipeline, description);
  const staged = stagedColumns(pipeline, description, target, database.label);
  await requireTypesFit(database, pipeline, description, staged);
  requireExactSums(pipeline, description, staged);
  const transfer = whyEachRow(pipeline) === null ? await source.chooseTransfer(transferRequest(pipeline, staged)) : 'records';
  return { target, description, window, read, staged, transfer };
}

/** Why the definition itself wants to see each row; null where it does not. */
export function whyEachRow(pipeline: BoundPipeline): string | null {
  if (pipeline.rowFunction) return 'the row function wants to see each row';
  const whole = pipeline.row?.uncompiled ?? null;
  return whole === null ? null : `the row schema as a whole has a ${whole}, which zod itself judges on each row`;
}

/** What the source is asked in order to choose the transfer. */
export function transferRequest(pipeline: BoundPipeline, staged: readonly PlannedColumn[]): TransferRequest {
  return { columns: staged.map(({ name, sqlType }) => ({ name, sqlType })), schema: pipeline.row?.columns ?? [] };
}

async function nextWindow(
  database: Database,
  pipeline: BoundPipeline,
  source: Source,
  description: SourceDescription,
  signal: AbortSignal,
): Promise<CursorWindow | null> {
  if (!pipeline.incremental) return null;
  if (!source.nextWindow) throw new PermanentError('InvalidDefinition', `A ${source.kind} source has no cursor to go on from.`);
  if (description.key.length === 0) {
    throw new PermanentError(
      'InvalidDefinition',
      `${description.label} has no key: rows with the same cursor could not be told apart. Give the source a key.`,
    );
  }
  const { cursor, lag } = pipeline.incremental;
  const low = await readWatermark(database, pipeline.name);
  return await source.nextWindow(cursor, description.key, low, lag, signal);
}

/** Types whose sum does not depend on the order in which it is made. */
const EXACT = /^(smallint|integer|bigint|numeric)\b/;

function requireExactSums(pipeline: BoundPipeline, source: SourceDescription, staged: readonly PlannedColumn[]): void {
  for (const name of summedColumns(pipeline.checks)) {
    const types = {
      [`in ${source.label}`]: source.columns.find((column) => column.name === name)?.sqlType,
      'where it is staged': staged.find((column) => column.name === name)?.sqlType,
    };
    for (const [where, type] of Object.entries(types)) {
      if (type && EXACT.test(type)) continue;
      throw new PermanentError(
        'InvalidDefinition',
        `${pipeline.name}: checks: sumsMatchSource: column "${name}" is ${type ?? 'missing'} ${where}, and only integers and numeric add up exactly. ` +
          'Leave it out, or compare with noRows.',
      );
    }
  }
}
