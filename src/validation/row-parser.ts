/** The row schema as a parser: values as received become a typed row, or the reason why not. */

import { compileChecks, type Judge } from './check.ts';
import { takeApart, type ZodNode } from './compile.ts';
import { type Convert, conversion, Refusal, type ValueOrigin } from './convert.ts';
import { roundExactNumbers } from './exact-number.ts';
import { MISSING, NULL_NOT_ALLOWED, reasonOfIssue } from './reasons.ts';
import type { ColumnType, RowSchema } from './row-schema.ts';

export type ParsedRow =
  | { readonly ok: true; readonly row: Record<string, unknown> }
  | { readonly ok: false; readonly column: string | null; readonly reason: string };

/** Pure and synchronous; a promise in a refinement is refused. */
export type RowParser = (values: Readonly<Record<string, unknown>>) => ParsedRow;

/** What is needed of a column's zod schema. */
interface Judging {
  safeParse(value: unknown): { success: true; data: unknown } | { success: false; error: { issues: readonly IssueOfZod[] } };
}
type IssueOfZod = Parameters<typeof reasonOfIssue>[0];

interface ColumnParser {
  readonly name: string;
  /** Null where zod wants the value as received. */
  readonly convert: Convert | null;
  readonly judge: Judge | null;
  /** Zod itself, where the checks do not say all. */
  readonly zod: Judging | null;
  readonly catches: boolean;
  readonly nullable: boolean;
  readonly optional: boolean;
  readonly nullIsMissing: boolean;
  /** Not to be mistaken for what every object inherits. */
  readonly inherited: boolean;
}

/**
 * A parser with exactly zod's verdict on the row: columns are converted from what the source gives, strictly, and judged in the
 * schema's order, the compiled ones by generated checks and the others by zod; refinements of the whole row come last.
 *
 * - `text`: strings or null (CSV, PostgreSQL's text format).
 * - `json`: JSON values; dates, and integers for `z.bigint()`, may be strings.
 * - `typed`: JavaScript's own types (Date, bigint, number); integers given as bigint are converted where that is exact.
 *
 * In `text` and `typed`, whose rows always have all their columns, null in a column that is optional and not nullable counts
 * as missing (an empty CSV field of a column with a default gets the default).
 *
 * @example
 * const parse = createRowParser(compileRowSchema(z.object({ delay: z.int().min(-120) })), 'text');
 * parse({ delay: '-121' }); // { ok: false, column: 'delay', reason: 'less than -120' }
 */
export function createRowParser(schema: RowSchema, from: ValueOrigin): RowParser {
  const shape = (schema.zod as unknown as ZodNode)._zod.def.shape ?? {};
  const columns = schema.columns.map((column) => columnParser(column, shape[column.name] as ZodNode, from));
  const whole = schema.uncompiled === null ? null : (schema.zod as unknown as Judging);

  return (values) => {
    const row: Record<string, unknown> = {};
    // For zod's judgement of the whole row, which must not see a column's transform twice.
    const untransformed: Record<string, unknown> | null = whole ? {} : null;
    for (const column of columns) {
      const { name } = column;
      let value = column.inherited && !Object.hasOwn(values, name) ? undefined : values[name];
      if (value === null && column.nullIsMissing) value = undefined;
      let reason: string | null = null;
      if (value === undefined) {
        if (!column.optional) return { ok: false, column: name, reason: MISSING };
        if (!column.zod) continue;
      } else if (value === null) {
        if (!column.zod) {
          if (!column.nullable) return { ok: false, column: name, reason: NULL_NOT_ALLOWED };
        }
      } else if (column.convert) {
        const converted = column.convert(value);
        if (!(converted instanceof Refusal)) value = converted;
        else if (!column.catches) return { ok: false, column: name, reason: converted.reason };
      }
      if (column.zod) {
        if (value !== undefined) value = roundExactNumbers(value);
        if (untransformed && value !== undefined) put(untransformed, name, value);
        const judged = ask(column.zod, value);
        if (typeof judged === 'string') reason = judged;
        else value = judged.data;
      } else if (value === null) {
        // The JSON text `null`.
        if (!column.nullable) reason = NULL_NOT_ALLOWED;
      } else if (column.judge) reason = column.judge(value);
      if (reason !== null) return { ok: false, column: name, reason };
      if (value !== undefined) {
        put(row, name, value);
        if (untransformed && !column.zod) put(untransformed, name, value);
      }
    }
    return whole && untransformed ? judgeWhole(whole, untransformed) : { ok: true, row };
  };
}

function columnParser(column: ColumnType, schema: ZodNode, from: ValueOrigin): ColumnParser {
  const apart = takeApart(column.name, schema);
  return {
    name: column.name,
    convert: apart.raw ? null : conversion(from, apart.type),
    judge: compileChecks(apart),
    zod: column.uncompiled === null ? null : (schema as unknown as Judging),
    catches: apart.catches,
    nullable: column.nullable,
    optional: column.optional,
    nullIsMissing: from !== 'json' && column.optional && !column.nullable,
    inherited: column.name in Object.prototype,
  };
}

/** Assigning `__proto__` would set the prototype. */
function put(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  else row[name] = value;
}

function ask(zod: Judging, value: unknown): { readonly data: unknown } | string {
  try {
    const result = zod.safeParse(value);
    if (result.success) return { data: result.data };
    return firstReason(result.error.issues, value);
  } catch (error) {
    return asynchronous(error);
  }
}

function judgeWhole(zod: Judging, row: Record<string, unknown>): ParsedRow {
  try {
    const result = zod.safeParse(row);
    if (result.success) return { ok: true, row: result.data as Record<string, unknown> };
    const column = result.error.issues[0]?.path[0];
    return { ok: false, column: typeof column === 'string' ? column : null, reason: firstReason(result.error.issues, row) };
  } catch (error) {
    return { ok: false, column: null, reason: asynchronous(error) };
  }
}

function firstReason(issues: readonly IssueOfZod[], value: unknown): string {
  const issue = issues[0];
  if (!issue) return 'refused';
  // Issues of a finished parse carry no input; null and undefined have their own words.
  if (issue.code === 'invalid_type' && issue.path.length === 0 && (value === null || value === undefined)) {
    return value === null ? NULL_NOT_ALLOWED : MISSING;
  }
  if (value === null && issue.code !== 'custom') return NULL_NOT_ALLOWED;
  return reasonOfIssue(issue);
}

/** A transform or refinement of the user threw, or is asynchronous: the row is refused, the run goes on. */
function asynchronous(error: unknown): string {
  const name = (error as { constructor?: { name?: string } })?.constructor?.name;
  if (name === '$ZodAsyncError') return 'the row schema is asynchronous';
  return `the row schema threw: ${error instanceof Error ? error.name : 'an unknown value'}`;
}
