/** The row schema as a parser: values as received become a typed row, or the reason why not. */

import { compileChecks, type Judge } from './check.ts';
import { takeApart, type ZodNode } from './compile.ts';
import { type Convert, conversion, Refusal, type ValueOrigin } from './convert.ts';
import { roundExactNumbers } from './exact-number.ts';
import { MISSING, NULL_NOT_ALLOWED, reasonOfIssue } from './reasons.ts';
import type { ColumnType, RowSchema } from './row-schema.ts';
import { compileFunction } from './row-shape.ts';

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

  const parse = columnByColumn(columns, whole);
  return whole || columns.some((column) => column.inherited) ? parse : wellFormedRows(columns, parse);
}

function columnByColumn(columns: readonly ColumnParser[], whole: Judging | null): RowParser {
  return (values) => {
    const row: Record<string, unknown> = {};
    // For zod's judgement of the whole row, which must not see a column's transform twice.
    const untransformed: Record<string, unknown> | null = whole ? {} : null;
    for (const column of columns) {
      const { name } = column;
      const converted = convertValue(column, column.inherited && !Object.hasOwn(values, name) ? undefined : values[name]);
      if (converted instanceof Refusal) return { ok: false, column: name, reason: converted.reason };
      const judged = judgeValue(column, converted);
      if (judged instanceof Refusal) return { ok: false, column: name, reason: judged.reason };
      if (untransformed && converted !== undefined) put(untransformed, name, converted);
      if (judged !== undefined) put(row, name, judged);
    }
    return whole && untransformed ? judgeWhole(whole, untransformed) : { ok: true, row };
  };
}

/**
 * A function made for these columns, which parses the rows that fit and leaves all others to `parse`: each column has its own place in
 * the code, which sees one type of value, and all rows have one shape.
 */
function wellFormedRows(columns: readonly ColumnParser[], parse: RowParser): RowParser {
  const names: Record<string, unknown> = { parse, Refusal, convertValue, judgeValue };
  const steps = columns.map((column, index) => {
    const value = `v${index}`;
    const { convert, judge } = column;
    Object.assign(names, { [`column${index}`]: column, [`convert${index}`]: convert, [`judge${index}`]: judge });
    const lines = [`let ${value} = values[${JSON.stringify(column.name)}];`];
    if (column.zod) {
      lines.push(`${value} = convertValue(column${index}, ${value});`, `if (${value} instanceof Refusal) return parse(values);`);
      lines.push(`${value} = judgeValue(column${index}, ${value});`, `if (${value} instanceof Refusal) return parse(values);`);
      return lines.join('\n');
    }
    lines.push(`if (${value} === undefined) { ${column.optional ? '' : 'return parse(values);'} }`);
    lines.push(
      `else if (${value} === null) { ${column.nullable ? '' : column.nullIsMissing ? `${value} = undefined;` : 'return parse(values);'} }`,
    );
    lines.push('else {');
    if (convert)
      lines.push(`${value} = convert${index}(${value});`, `if (${value} instanceof Refusal || ${value} === null) return parse(values);`);
    if (judge) lines.push(`if (judge${index}(${value}) !== null) return parse(values);`);
    lines.push('}');
    return lines.join('\n');
  });
  const mayBeMissing = columns.findIndex((column) => column.optional || column.zod);
  const always = mayBeMissing < 0 ? columns.length : mayBeMissing;
  const literal = columns.slice(0, always).map((column, index) => `${JSON.stringify(column.name)}: v${index}`);
  const rest = columns
    .slice(always)
    .map((column, index) => `if (v${always + index} !== undefined) row[${JSON.stringify(column.name)}] = v${always + index};`);
  const text = `return (values) => {
${steps.join('\n')}
const row = { ${literal.join(', ')} };
${rest.join('\n')}
return { ok: true, row };
};`;
  return compileFunction(names, text);
}

/** The value as the column's schema wants it. */
function convertValue(column: ColumnParser, received: unknown): unknown {
  let value = received === null && column.nullIsMissing ? undefined : received;
  if (value === undefined) return column.optional ? undefined : NO_VALUE;
  if (value !== null && column.convert) {
    const converted = column.convert(value);
    if (!(converted instanceof Refusal)) value = converted;
    else if (!column.catches) return converted;
  }
  return column.zod ? roundExactNumbers(value) : value;
}

function judgeValue(column: ColumnParser, value: unknown): unknown {
  if (column.zod) {
    const judged = ask(column.zod, value);
    return typeof judged === 'string' ? new Refusal(judged) : judged.data;
  }
  if (value === undefined) return undefined;
  if (value === null) return column.nullable ? null : NULL_REFUSED;
  const reason = column.judge ? column.judge(value) : null;
  return reason === null ? value : new Refusal(reason);
}

const NO_VALUE = new Refusal(MISSING);
const NULL_REFUSED = new Refusal(NULL_NOT_ALLOWED);

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
