/** What a run would do: the part of planning that only reads. `planRun` freezes it, and `sluice explain` shows it. */
import type { Database } from '../connectors/postgres/database.ts';
import { inspectTarget, type TargetTable } from '../connectors/postgres/target-table.ts';
import type { CursorWindow, Source, SourceDescription, TransferChoice } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import { readWatermark } from '../ledger/commits.ts';
import { hasLedger } from '../ledger/migrations.ts';
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
  /** How the rows travel to staging, and why not faster. */
  readonly choice: TransferChoice;
}

/** @throws PermanentError where source, row schema and target do not fit one another */
export async function decidePlan(database: Database, pipeline: BoundPipeline, source: Source, signal: AbortSignal): Promise<DecidedPlan> {
  const [target, description] = await Promise.all([inspectTarget(database, pipeline.target), source.describe(signal)]);
  const window = await nextWindow(database, pipeline, source, description, signal);
  const read = readColumns(pipeline, description);
  const staged = stagedColumns(pipeline, description, target, database.label);
  await requireTypesFit(database, pipeline, description, staged);
  requireExactSums(pipeline, description, staged);
  const choice = await chooseTransfer(pipeline, source, staged);
  return { target, description, window, read, staged, choice };
}

async function chooseTransfer(pipeline: BoundPipeline, source: Source, staged: readonly PlannedColumn[]): Promise<TransferChoice> {
  const schema = pipeline.row?.columns ?? [];
  const checked = schema.map((column) => column.name);
  if (pipeline.rowFunction) return { transfer: 'records', because: 'the row function wants to see each row', checked };
  const whole = pipeline.row?.uncompiled ?? null;
  if (whole !== null) return { transfer: 'records', because: `the row schema as a whole: ${whole}`, checked };
  const request = { columns: staged.map(({ name, sqlType }) => ({ name, sqlType })), schema };
  if (source.explainTransfer) return await source.explainTransfer(request);
  const transfer = await source.chooseTransfer(request);
  return { transfer, because: transfer === 'records' ? `a ${source.kind} source is taken apart record by record` : null, checked };
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
  const low = (await hasLedger(database)) ? await readWatermark(database, pipeline.name) : null;
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
