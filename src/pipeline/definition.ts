/** What a user writes: `definePipeline({...})`. */
import { z } from 'zod';
import { type SourceConfig, sourceConfig, type TargetConfig, targetConfig } from '../connectors/configs.ts';
import type { Partitioning } from '../connectors/source.ts';
import { COMMIT_UNITS, type CommitUnit } from '../contracts/run.ts';
import { DefinitionError } from '../errors.ts';
import { compileRowSchema } from '../validation/compile.ts';
import type { RowSchema } from '../validation/row-schema.ts';
import { type Check, requireSoundChecks } from './checks.ts';
import { bytes, file } from './partition-by.ts';
import type { SqlTransform } from './sql.ts';

/** A value, or a function that makes it of the run's parameters. */
export type FromParams<Params, T> = T | ((params: Params) => T);

/** Takes a row that passed the row schema and gives the row to load, or null to drop it. Pure and synchronous: it may run again. */
export type RowFunction<Row, Out> = (row: Row) => Out | null;

export interface PipelineOptions<
  Params extends z.ZodObject = z.ZodObject,
  Row extends z.ZodObject = z.ZodObject,
  Out extends z.ZodObject = Row,
> {
  /** Lower case letters, digits, `-` and `_`; unique among the pipelines of a worker. */
  readonly name: string;
  readonly description?: string;
  /** Schema of the run's parameters. @default none allowed */
  readonly params?: Params;
  readonly source: FromParams<z.output<Params>, z.input<typeof sourceConfig>>;
  /** @default one partition; of files one for each, and CSV and JSONL files larger than 64 MiB in several (`bytes()`) */
  readonly partitionBy?: FromParams<z.output<Params>, Partitioning>;
  /** The contract of a row: its columns are the ones read, and rows that do not fit go to quarantine. */
  readonly row?: Row;
  /** A row function (runs in the worker, row by row) or `sql` (runs in the target database, over all of `staging`). */
  readonly transform?: RowFunction<z.output<Row>, z.input<Out>> | SqlTransform;
  /**
   * Schema of the rows that the transform gives, where they differ from `row`: those that it refuses go to quarantine. What it makes of the rows of a row
   * function (defaults, transforms) is stored; rows that SQL made are judged and stay as they are.
   */
  readonly output?: Out;
  readonly checks?: readonly Check[];
  readonly target: FromParams<z.output<Params>, z.input<typeof targetConfig>>;
  /**
   * What is committed at once. A `chunk` goes right into the target, and is seen there as soon as it is copied: for appending in bulk, without table
   * checks or a SQL transform.
   * @default 'run'
   */
  readonly commit?: CommitUnit;
  /** How many bad rows a unit may have: a number, or a share of the rows read (`'0.1%'`). @default 0 */
  readonly tolerate?: { readonly quarantined: number | `${number}%` };
  /** Reads only what is new since the last run. */
  readonly incremental?: {
    /** A column that grows with every insert and update. */
    readonly cursor: string;
    /** How far to stay behind the newest row, where the role cannot see open transactions: `'5 minutes'`, or a number for integers. */
    readonly lag?: string;
  };
  /** Limits of a chunk, about: what a crash may cost. @default 1,000,000 rows, 128 MiB or 2 seconds, whichever comes first */
  readonly chunk?: { readonly rows?: number; readonly bytes?: number; readonly seconds?: number };
  /** Partitions copied at the same time, over all workers. @default 4 */
  readonly concurrency?: number;
}

/** A pipeline whose definition was found to be sound. */
export interface Pipeline {
  readonly kind: 'sluice.pipeline';
  readonly name: string;
  readonly description: string;
  readonly params: z.ZodObject;
  readonly row: RowSchema | null;
  readonly output: RowSchema | null;
  readonly rowFunction: RowFunction<Record<string, unknown>, Record<string, unknown>> | null;
  readonly sqlTransform: SqlTransform | null;
  readonly checks: readonly Check[];
  readonly commit: CommitUnit;
  readonly tolerate: { readonly rows: number } | { readonly share: number };
  readonly incremental: { readonly cursor: string; readonly lag: string | null } | null;
  readonly chunk: { readonly rows: number; readonly bytes: number; readonly ms: number };
  readonly concurrency: number;
  /**
   * The definition with parameters put in.
   * @throws DefinitionError naming the parameter or the place in the definition
   */
  bind(params: unknown): BoundPipeline;
}

/** A pipeline with its parameters. */
export interface BoundPipeline extends Omit<Pipeline, 'bind' | 'params'> {
  readonly params: Record<string, unknown>;
  readonly source: SourceConfig;
  readonly target: TargetConfig;
  readonly partitionBy: Partitioning;
}

const DEFAULT_CHUNK = { rows: 1_000_000, bytes: 128 * 1024 * 1024, seconds: 2 };
const DEFAULT_CONCURRENCY = 4;
const IDENTIFIER = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'lower case letters, digits, "-" and "_", at most 63, beginning with a letter');

/**
 * Defines a pipeline. Give it as the default export of a module in `pipelines/`.
 *
 * @throws DefinitionError naming the place of the first mistake
 *
 * @example
 * export default definePipeline({
 *   name: 'orders',
 *   source: postgres({ table: 'orders' }),
 *   target: postgres({ table: 'orders_copy', mode: 'upsert', key: ['id'] }),
 * });
 */
export function definePipeline<
  Params extends z.ZodObject = z.ZodObject<Record<never, never>>,
  Row extends z.ZodObject = z.ZodObject,
  Out extends z.ZodObject = Row,
>(options: PipelineOptions<Params, Row, Out>): Pipeline {
  const at = (place: string, message: string) => new DefinitionError(`pipeline "${options?.name ?? '?'}": ${place}: ${message}`);
  const name = IDENTIFIER.safeParse(options.name);
  if (!name.success) throw at('name', firstIssue(name.error));

  const row = options.row ? compile(options.row, (message) => at('row', message)) : null;
  const output = options.output ? compile(options.output, (message) => at('output', message)) : null;
  const transform = options.transform ?? null;
  const rowFunction = typeof transform === 'function' ? (transform as unknown as Pipeline['rowFunction']) : null;
  const sqlTransform = transform !== null && typeof transform === 'object' ? transform : null;
  if (rowFunction && !row) throw at('transform', 'a row function needs a row schema: it is called with rows that passed it. Add `row`.');
  const unknowable = sqlTransform && output?.columns.find((column) => column.uncompiled === 'custom type');
  if (unknowable) {
    throw at(
      'output',
      `column "${unknowable.name}" has a custom type of JavaScript, which no row that SQL makes can have. Use z.any(), and say what it must be in \`checks\` (noRows).`,
    );
  }
  if (output && !transform) throw at('output', 'describes the rows that a transform gives; without one use `row`.');
  if (options.commit !== undefined && !COMMIT_UNITS.includes(options.commit)) {
    throw at('commit', `"${options.commit}" is not known; it is ${COMMIT_UNITS.map((unit) => `'${unit}'`).join(' or ')}.`);
  }
  const chunk = {
    rows: atLeastOne(options.chunk?.rows ?? DEFAULT_CHUNK.rows, () => at('chunk.rows', 'is a whole number of at least 1')),
    bytes: atLeastOne(options.chunk?.bytes ?? DEFAULT_CHUNK.bytes, () => at('chunk.bytes', 'is a whole number of at least 1')),
    ms: 1000 * (options.chunk?.seconds ?? DEFAULT_CHUNK.seconds),
  };
  if (!(chunk.ms > 0)) throw at('chunk.seconds', 'is a number above 0');
  const concurrency = atLeastOne(options.concurrency ?? DEFAULT_CONCURRENCY, () => at('concurrency', 'is a whole number of at least 1'));
  const tolerate = parseTolerance(options.tolerate?.quarantined ?? 0, (message) => at('tolerate.quarantined', message));
  if (options.incremental && !options.incremental.cursor) throw at('incremental.cursor', 'names the column that grows.');

  const pipeline: Omit<Pipeline, 'bind'> = {
    kind: 'sluice.pipeline',
    name: options.name,
    description: options.description ?? '',
    params: (options.params ?? z.strictObject({})) as z.ZodObject,
    row,
    output,
    rowFunction,
    sqlTransform,
    checks: options.checks ?? [],
    commit: options.commit ?? 'run',
    tolerate,
    incremental: options.incremental ? { cursor: options.incremental.cursor, lag: options.incremental.lag ?? null } : null,
    chunk,
    concurrency,
  };

  const bind = (given: unknown): BoundPipeline => {
    const parsed = pipeline.params.strict().safeParse(given ?? {});
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const known = Object.keys(pipeline.params.shape);
      const place = issue && issue.path.length > 0 ? `parameter "${issue.path.join('.')}"` : 'parameters';
      throw at(place, `${firstIssue(parsed.error)}. ${known.length > 0 ? `It takes: ${known.join(', ')}.` : 'It takes none.'}`);
    }
    const params = parsed.data as z.output<Params>;
    const source = sourceConfig.safeParse(resolve(options.source, params));
    if (!source.success) throw at('source', firstIssue(source.error));
    const target = targetConfig.safeParse(resolve(options.target, params));
    if (!target.success) throw at('target', firstIssue(target.error));
    const partitionBy =
      options.partitionBy === undefined ? defaultPartitioning(source.data, pipeline.commit) : resolve(options.partitionBy, params);
    const bound: BoundPipeline = { ...pipeline, params, source: source.data, target: target.data, partitionBy };
    requireKnownColumns(bound, at);
    const staged = stagedSchema(bound)?.columns.map((column) => column.name) ?? null;
    requireSoundChecks({ ...bound, staged, loaded: loadedColumns(bound) }, (message) => at('checks', message));
    return bound;
  };

  // What can be known without parameters is checked when the module is loaded, before anybody runs it.
  if (!options.params || options.params.safeParse({}).success) bind({});
  return { ...pipeline, bind };
}

/** True for what `definePipeline` gives, also from another copy of this package. */
export function isPipeline(value: unknown): value is Pipeline {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'sluice.pipeline';
}

/** The schema of the rows that are staged; null where only the source knows. */
export function stagedSchema(pipeline: Pick<Pipeline, 'row' | 'output' | 'rowFunction'>): RowSchema | null {
  return pipeline.rowFunction ? (pipeline.output ?? pipeline.row) : pipeline.row;
}

/** Names of the columns that reach the target, where the definition says them; null where only the source knows. */
export function loadedColumns(pipeline: Pick<Pipeline, 'row' | 'output' | 'rowFunction' | 'sqlTransform'>): readonly string[] | null {
  if (pipeline.output) return pipeline.output.columns.map((column) => column.name);
  if (pipeline.rowFunction || pipeline.sqlTransform) return null;
  return pipeline.row ? pipeline.row.columns.map((column) => column.name) : null;
}

function requireKnownColumns(pipeline: BoundPipeline, at: (place: string, message: string) => DefinitionError): void {
  const read = pipeline.row?.columns.map((column) => column.name) ?? null;
  const loaded = loadedColumns(pipeline);
  const known = (columns: readonly string[] | null, name: string, place: string, schema: string) => {
    if (columns && !columns.includes(name)) {
      throw at(place, `column "${name}" is not in the ${schema} schema, which has: ${columns.join(', ')}.`);
    }
  };
  const { partitionBy, target } = pipeline;
  if ('column' in partitionBy) {
    known(read, partitionBy.column, 'partitionBy', 'row');
    if (target.scope === 'partition') known(loaded, partitionBy.column, 'target.scope', pipeline.output ? 'output' : 'row');
  }
  if (partitionBy.by === 'range')
    atLeastOne(partitionBy.rows, () => at('partitionBy', 'keyRange takes a whole number of rows of at least 1'));
  if (partitionBy.by === 'bytes')
    atLeastOne(partitionBy.size, () => at('partitionBy', 'bytes takes a whole number of bytes of at least 1'));
  if (target.scope === 'partition' && !('column' in partitionBy)) {
    throw at(
      'target.scope',
      'to replace the partitions loaded, rows must tell their partition: partition by a date, a column or a key range.',
    );
  }
  if (target.mode === 'replace' && target.scope === 'table' && pipeline.commit === 'partition') {
    throw at('commit', "each partition would replace the whole table. Commit by run, or replace with scope: 'partition'.");
  }
  if (pipeline.commit === 'chunk') requireNothingSeesAll(pipeline, at);
  for (const key of target.key ?? []) known(loaded, key, 'target.key', pipeline.output ? 'output' : 'row');
  if (pipeline.incremental) {
    known(read, pipeline.incremental.cursor, 'incremental.cursor', 'row');
    if (pipeline.source.kind !== 'postgres') throw at('incremental', `a ${pipeline.source.kind} source has no cursor to go on from.`);
    if (pipeline.commit !== 'run') throw at('commit', 'an incremental pipeline moves one watermark and commits by run.');
    if (target.mode === 'replace')
      throw at('target.mode', 'an incremental run brings only what is new; replace would drop the rest. Use upsert or append.');
  }
}

/** A chunk is committed before the next one is read: nothing that has to see all rows can have its say. */
function requireNothingSeesAll(
  { target, sqlTransform, checks }: BoundPipeline,
  at: (place: string, message: string) => DefinitionError,
): void {
  const instead = "Commit by 'run' or 'partition'.";
  if (target.mode !== 'append')
    throw at('commit', `chunks go right into the target, which is for mode "append"; this is "${target.mode}". ${instead}`);
  if (sqlTransform)
    throw at('commit', `a SQL transform sees the staged rows, and chunks go right into the target. Use a row function. ${instead}`);
  if (checks.length > 0)
    throw at('commit', `${checks[0]?.name} looks at rows before they are committed, and chunks go right into the target. ${instead}`);
}

/** Large files are read side by side; where each partition is committed by itself, a file is committed as a whole. */
function defaultPartitioning(source: SourceConfig, commit: Pipeline['commit']): Partitioning {
  if (source.kind === 'postgres') return { by: 'none' };
  return commit === 'partition' ? file() : bytes();
}

function resolve<Params, T>(value: FromParams<Params, T>, params: Params): T {
  return typeof value === 'function' ? (value as (params: Params) => T)(params) : value;
}

function compile(schema: z.ZodObject, fail: (message: string) => DefinitionError): RowSchema {
  try {
    return compileRowSchema(schema);
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error));
  }
}

function parseTolerance(value: number | string, fail: (message: string) => DefinitionError): Pipeline['tolerate'] {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return { rows: value };
  const share = typeof value === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1] : undefined;
  if (share !== undefined && Number(share) <= 100) return { share: Number(share) / 100 };
  throw fail(`"${value}" is neither a number of rows nor a share such as '0.1%'`);
}

function atLeastOne(value: number, fail: () => DefinitionError): number {
  if (!Number.isInteger(value) || value < 1) throw fail();
  return value;
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return error.message;
  const path = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  return `${path}${issue.message}`;
}
