/** What a run would do: the part of planning that only reads. `planRun` freezes it, and `sluice explain` shows it. */
import type { Database } from '../connectors/postgres/database.ts';
import { directTarget } from '../connectors/postgres/direct-target.ts';
import { LOCK_NOT_AVAILABLE, sqlState } from '../connectors/postgres/errors.ts';
import { whyNotSwapped } from '../connectors/postgres/swap.ts';
import { inspectTarget, type TargetTable } from '../connectors/postgres/target-table.ts';
import type { CursorWindow, Source, SourceDescription, TransferChoice } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import { readWatermark } from '../ledger/commits.ts';
import { hasLedger, LEDGER_SCHEMA } from '../ledger/migrations.ts';
import type { PlannedColumn, PlannedSwap } from '../ledger/run-plan.ts';
import { STAGING_SCHEMA } from '../ledger/staging.ts';
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
  /** No two rows can have the same key of the target. */
  readonly distinctKeys: boolean;
  /** Rows with the same key are looked for only once the target has refused one. */
  readonly targetRefusesTwins: boolean;
  /** No staged row will be asked for its partition and position. */
  readonly unmarked: boolean;
  /** Set where the rows are built beside the target and swapped in. */
  readonly beside: PlannedSwap | null;
  /** Why they are not; null where they are. */
  readonly whyNotSwapped: string | null;
  /** Set where chunks go right into the target: its name, quoted. */
  readonly direct: string | null;
}

/** @throws PermanentError where source, row schema and target do not fit one another */
export async function decidePlan(database: Database, pipeline: BoundPipeline, source: Source, signal: AbortSignal): Promise<DecidedPlan> {
  const [target, description] = await Promise.all([inspectTarget(database, pipeline.target), source.describe(signal)]);
  requireOwnSchema(database, pipeline, target);
  const window = await nextWindow(database, pipeline, source, description, signal);
  const read = readColumns(pipeline, description);
  const typed = stagedColumns(pipeline, description, target, database.label);
  await requireTypesFit(database, pipeline, description, typed);
  requireExactSums(pipeline, description, typed);
  const choice = await chooseTransfer(pipeline, source, typed);
  const staged = typed.map((column) => ({ ...column, neverNull: isNeverNull(pipeline, description, choice, column.name) }));
  const distinctKeys = keysAreDistinct(pipeline, description, staged, choice);
  const unmarked = pipeline.commit === 'run' && (pipeline.sqlTransform !== null || areAllFit(pipeline, staged, distinctKeys));
  const direct = pipeline.commit === 'chunk' ? await directTarget(database, pipeline.target, target) : null;
  const whyNot = await whyStaged(database, pipeline, target);
  const beside = whyNot === null ? { replaces: target.oid } : null;
  const targetRefusesTwins = beside === null && !distinctKeys && refusesTwins(pipeline, staged, target);
  const how = { distinctKeys, targetRefusesTwins, unmarked, beside, whyNotSwapped: whyNot, direct };
  return { target, description, window, read, staged, choice, ...how };
}

/** A role that is called as the ledger's schema finds that schema first, and its tables would be among the ledger's. */
function requireOwnSchema(database: Database, { target: { table } }: BoundPipeline, { schema }: TargetTable): void {
  if (schema !== LEDGER_SCHEMA && schema !== STAGING_SCHEMA) return;
  throw new PermanentError(
    'ReservedSchema',
    `${database.label}: table "${table}" would be in the schema "${schema}", which is Sluice's own` +
      `${table.includes('.') ? '' : " (the role's search_path finds it first)"}. Name another schema: table: 'public.${table.split('.').at(-1)}'.`,
  );
}

/** The source says so, the row schema has looked, or whoever writes the row refuses it. */
function isNeverNull(
  { row, rowFunction, source: { kind } }: BoundPipeline,
  source: SourceDescription,
  { transfer }: TransferChoice,
  name: string,
): boolean {
  // Of CSV, whatever is not plainly good is written anew as a record is.
  if (transfer === 'records' || (transfer === 'csv' && kind !== 'parquet')) return true;
  if (rowFunction) return false;
  const column = row?.columns.find((each) => each.name === name);
  if (column) return !column.nullable && !column.optional && column.uncompiled === null;
  return source.columns.some((each) => each.name === name && !each.nullable);
}

/** No row that is staged can be one that the target would refuse for its key or a null. */
function areAllFit({ target }: BoundPipeline, staged: readonly PlannedColumn[], distinctKeys: boolean): boolean {
  return (target.key === undefined || distinctKeys) && staged.every((column) => !column.notNull || column.neverNull === true);
}

/**
 * A source that is read in the order of a unique key gives no key twice, as long as that key is the target's, arrives as it is, and decides
 * which partition a row belongs to. (A row that is updated between two chunks is met again where they are read in another order.)
 */
function keysAreDistinct(
  { target, partitionBy, incremental, rowFunction, sqlTransform }: BoundPipeline,
  source: SourceDescription,
  staged: readonly PlannedColumn[],
  { transfer }: TransferChoice,
): boolean {
  const { key = [] } = target;
  if (!source.keyIsUnique || rowFunction || sqlTransform || incremental || transfer !== 'binary') return false;
  if ('column' in partitionBy && !source.key.includes(partitionBy.column)) return false;
  if (!source.key.every((name) => key.includes(name))) return false;
  return source.key.every((name) => {
    const [from, to] = [source.columns, staged].map((columns) => columns.find((column) => column.name === name)?.sqlType);
    return from !== undefined && from === to;
  });
}

/** INSERT meets the unique index in any case. MERGE may not; checks are to see the rows that will be loaded, and a transform runs once. */
function refusesTwins(
  { target: { mode, key = [] }, checks, sqlTransform }: BoundPipeline,
  staged: readonly PlannedColumn[],
  target: TargetTable,
): boolean {
  // A unique index lets any number of nulls in.
  const neverNull = key.every((name) => [...staged, ...target.columns].some((column) => column.name === name && column.notNull));
  return mode !== 'upsert' && sqlTransform === null && checks.length === 0 && target.enforcesKey && neverNull;
}

async function whyStaged(database: Database, pipeline: BoundPipeline, target: TargetTable): Promise<string | null> {
  if (pipeline.commit !== 'run') return `the pipeline commits by ${pipeline.commit}`;
  const options = { readOnly: true, lockTimeoutMs: PATIENCE_MS };
  return await database
    .transaction((client) => whyNotSwapped(client, pipeline.target, target.oid), options)
    .catch((error: Error) => {
      if (sqlState(error.cause) === LOCK_NOT_AVAILABLE) return 'another session has locked the table';
      throw error;
    });
}

/** A table that is locked for longer is not worth the wait: staging does without it until the commit. */
const PATIENCE_MS = 1_000;

async function chooseTransfer(pipeline: BoundPipeline, source: Source, staged: readonly PlannedColumn[]): Promise<TransferChoice> {
  const schema = pipeline.row?.columns ?? [];
  const checked = schema.map((column) => column.name);
  if (pipeline.rowFunction) return { transfer: 'records', because: 'the row function wants to see each row', checked };
  const whole = pipeline.row?.uncompiled ?? null;
  if (whole !== null) return { transfer: 'records', because: `the row schema as a whole: ${whole}`, checked };
  return await source.chooseTransfer({ columns: staged, schema, rowSchema: pipeline.row });
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
    const column = source.columns.find((each) => each.name === name);
    const types = {
      // Text has no type of its own, and JSON lines may have the column only later: what is staged is what is added up.
      ...(column?.sqlType === null || source.sampled ? {} : { [`in ${source.label}`]: column?.sqlType }),
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
