/**
 * Takes a zod 4 object apart into columns: the type of value, the checks that every path can make (the worker, DuckDB, SQL),
 * and the PostgreSQL type that stores it. What cannot be said as a check is named in `uncompiled`; zod itself judges it.
 *
 * Works on `_zod.def` only, never on `instanceof`: a pipeline module may bring its own copy of zod.
 */
import type { z } from 'zod';
import { DefinitionError } from '../errors.ts';
import type { ColumnCheck, ColumnType, RowSchema, ValueType } from './row-schema.ts';

/** What is read of a zod definition; zod's own types differ between its copies. */
export interface ZodNode {
  readonly _zod: {
    readonly def: ZodDef;
    readonly constr: new (def: Record<string, unknown>) => ZodNode;
    readonly check?: (payload: { value: unknown; issues: unknown[] }) => void;
  };
  readonly meta?: () => unknown;
}

interface ZodDef {
  readonly type?: string;
  readonly check?: string;
  readonly checks?: readonly ZodNode[];
  readonly format?: string;
  readonly pattern?: RegExp;
  readonly precision?: number | null;
  readonly coerce?: boolean;
  readonly value?: number | bigint | Date;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly length?: number;
  readonly entries?: Readonly<Record<string, string | number>>;
  readonly values?: readonly unknown[];
  readonly options?: readonly ZodNode[];
  readonly innerType?: ZodNode;
  readonly in?: ZodNode;
  readonly out?: ZodNode;
  readonly getter?: () => ZodNode;
  readonly shape?: Readonly<Record<string, ZodNode>>;
}

/** A column's zod schema taken apart. */
export interface TakenApart {
  readonly type: ValueType;
  readonly nullable: boolean;
  readonly optional: boolean;
  readonly checks: readonly ColumnCheck[];
  readonly uncompiled: string | null;
  readonly sqlType: string;
  /** What a string of `isoDate` and `isoDatetime` must look like. */
  readonly pattern: RegExp | null;
  /** zod wants the value as received (coercion, preprocess): it must not be converted first. */
  readonly raw: boolean;
  /** zod has a value for what it refuses (`.catch()`): a value that cannot be converted is for it to judge. */
  readonly catches: boolean;
}

interface Draft {
  type: ValueType;
  nullable: boolean;
  optional: boolean;
  checks: ColumnCheck[];
  uncompiled: string | null;
  sqlType: string | null;
  pattern: RegExp | null;
  raw: boolean;
  catches: boolean;
}

const SQL_TYPES: Readonly<Record<ValueType, string>> = {
  string: 'text',
  int: 'bigint',
  number: 'double precision',
  bigint: 'numeric',
  boolean: 'boolean',
  date: 'timestamptz',
  isoDate: 'date',
  isoDatetime: 'timestamptz',
  json: 'jsonb',
};

const NUMBER_FORMATS: Readonly<Record<string, readonly [number, number] | null>> = {
  safeint: null,
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  float32: [-3.4028234663852886e38, 3.4028234663852886e38],
  float64: null,
};

const BIGINT_FORMATS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/**
 * The row schema compiled.
 *
 * Only the columns of the object are judged: what an object does with unknown keys (`strict`, `loose`, `catchall`) has no
 * effect, since a row has the schema's columns and no others.
 *
 * Lengths of strings are kept as `checks` and count Unicode code points, as zod 4.6, PostgreSQL and DuckDB do. A copy of zod
 * that counts UTF-16 code units instead is noticed, and its length checks are left to zod (`uncompiled`).
 *
 * @throws DefinitionError for a column of a type that no table can store
 *
 * @example
 * compileRowSchema(z.object({ id: z.int(), name: z.string().max(40).nullable() }))
 */
export function compileRowSchema(schema: z.ZodObject): RowSchema {
  const def = (schema as unknown as ZodNode)._zod?.def;
  if (def?.type !== 'object' || !def.shape) throw new DefinitionError('the row schema is not a zod 4 object: write z.object({ ... })');
  const columns = Object.entries(def.shape).map(([name, column]): ColumnType => {
    const { type, nullable, optional, checks, sqlType, uncompiled } = takeApart(name, column);
    return { name, type, nullable, optional, checks, sqlType, uncompiled };
  });
  const first = def.checks?.[0];
  return { columns, zod: schema, uncompiled: first ? nameOfCheck(first) : null };
}

/** One column of a row schema taken apart. */
export function takeApart(name: string, schema: ZodNode): TakenApart {
  const draft: Draft = {
    type: 'json',
    nullable: false,
    optional: false,
    checks: [],
    uncompiled: null,
    sqlType: null,
    pattern: null,
    raw: false,
    catches: false,
  };
  unwrap(name, schema, draft, 0);
  return { ...draft, sqlType: draft.sqlType ?? SQL_TYPES[draft.type] };
}

function unwrap(name: string, schema: ZodNode, draft: Draft, depth: number): void {
  const def = schema._zod.def;
  draft.sqlType ??= sqlTypeFromMeta(schema);
  if (depth > 32) {
    setJson(draft, 'lazy');
    return;
  }
  const inner = (because: string | null): void => {
    for (const check of def.checks ?? []) leaveToZod(draft, nameOfCheck(check));
    if (because) leaveToZod(draft, because);
    if (def.innerType) unwrap(name, def.innerType, draft, depth + 1);
  };
  switch (def.type) {
    case 'nullable':
      draft.nullable = true;
      inner(null);
      return;
    case 'optional':
      draft.optional = true;
      inner(null);
      return;
    case 'readonly':
      inner(null);
      return;
    case 'default':
    case 'prefault':
      draft.optional = true;
      inner(def.type);
      return;
    case 'catch':
      draft.optional = true;
      draft.catches = true;
      inner('catch');
      return;
    case 'nonoptional': {
      inner('nonoptional');
      draft.optional = false;
      return;
    }
    case 'lazy':
      if (isJsonSchema(schema)) {
        setJson(draft, null, true);
        return;
      }
      if (!def.getter) {
        setJson(draft, 'lazy');
        return;
      }
      leaveToZod(draft, 'lazy');
      unwrap(name, def.getter(), draft, depth + 1);
      return;
    case 'pipe':
      unwrapPipe(name, def, draft, depth);
      return;
    case 'union':
      unwrapUnion(name, def, draft, depth);
      return;
    default:
      leaf(name, def, draft);
      return;
  }
}

/** The value is read as the input's type; the table stores the output's, where it is known. */
function unwrapPipe(name: string, def: ZodDef, draft: Draft, depth: number): void {
  leaveToZod(draft, 'transform');
  if (!def.in || !def.out) {
    setJson(draft, 'transform');
    return;
  }
  if (def.in._zod.def.type === 'transform') {
    unwrap(name, def.out, draft, depth + 1);
    draft.raw = true;
    return;
  }
  if (def.out._zod.def.type !== 'transform') draft.sqlType ??= takeApart(name, def.out).sqlType;
  unwrap(name, def.in, draft, depth + 1);
}

function unwrapUnion(name: string, def: ZodDef, draft: Draft, depth: number): void {
  for (const check of def.checks ?? []) leaveToZod(draft, nameOfCheck(check));
  const rest: ZodNode[] = [];
  for (const option of def.options ?? []) {
    const type = option._zod.def.type;
    if (type === 'null') draft.nullable = true;
    else if (type === 'undefined') draft.optional = true;
    else rest.push(option);
  }
  const only = rest[0];
  if (only && rest.length === 1) {
    unwrap(name, only, draft, depth + 1);
    return;
  }
  const values = rest.flatMap((option) => literalValues(option) ?? [NOT_A_LITERAL]);
  if (rest.length > 0 && !values.includes(NOT_A_LITERAL)) {
    setValues(draft, values);
    return;
  }
  const types = new Set(rest.map((option) => takeApart(name, option).type));
  leaveToZod(draft, 'union');
  draft.type = types.size === 1 ? ([...types][0] ?? 'json') : 'json';
  draft.raw = types.size > 1 && !types.has('json');
}

const NOT_A_LITERAL = Symbol('not a literal');

function literalValues(schema: ZodNode): readonly unknown[] | null {
  const def = schema._zod.def;
  if (def.checks?.length) return null;
  if (def.type === 'literal') return def.values ?? null;
  if (def.type === 'enum' && def.entries) return enumValues(def.entries);
  return null;
}

/** TypeScript's numeric enums also map their numbers back to names; those entries are no values. */
function enumValues(entries: Readonly<Record<string, string | number>>): readonly unknown[] {
  const numbers = new Set(Object.values(entries).filter((value) => typeof value === 'number'));
  return Object.entries(entries)
    .filter(([key]) => !numbers.has(Number(key)))
    .map(([, value]) => value);
}

function setValues(draft: Draft, values: readonly unknown[]): void {
  const kept: (string | number | boolean)[] = [];
  for (const value of values) {
    if (value === null) draft.nullable = true;
    else if (value === undefined) draft.optional = true;
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') kept.push(value);
    else leaveToZod(draft, 'literal');
  }
  const types = new Set(kept.map((value) => typeof value));
  if (types.size === 1 && types.has('string')) draft.type = 'string';
  else if (types.size === 1 && types.has('boolean')) draft.type = 'boolean';
  else if (types.size === 1 && types.has('number')) draft.type = kept.every((value) => Number.isSafeInteger(value)) ? 'int' : 'number';
  else {
    setJson(draft, 'literals of several types');
    return;
  }
  draft.checks.push({ kind: 'oneOf', values: kept });
}

function setJson(draft: Draft, because: string | null, nullable = false): void {
  draft.type = 'json';
  if (nullable) draft.nullable = true;
  if (because) leaveToZod(draft, because);
}

function leaf(name: string, def: ZodDef, draft: Draft): void {
  if (def.coerce) {
    draft.raw = true;
    leaveToZod(draft, 'coercion');
  }
  switch (def.type) {
    case 'string':
      draft.type = 'string';
      break;
    case 'number':
      draft.type = 'number';
      break;
    case 'bigint':
    case 'boolean':
    case 'date':
      draft.type = def.type;
      break;
    case 'literal':
      setValues(draft, def.values ?? []);
      break;
    case 'enum':
      setValues(draft, enumValues(def.entries ?? {}));
      break;
    case 'any':
    case 'unknown':
      setJson(draft, null, true);
      break;
    case 'object':
    case 'array':
    case 'tuple':
    case 'record':
    case 'intersection':
      setJson(draft, def.type);
      break;
    case 'template_literal':
      draft.type = 'string';
      leaveToZod(draft, 'template literal');
      break;
    case 'custom':
      setJson(draft, 'custom type');
      draft.raw = true;
      break;
    default:
      throw new DefinitionError(
        `column "${name}": z.${def.type ?? '?'}() cannot be stored in a column; use a string, number, bigint, boolean, date, or z.json() and the like`,
      );
  }
  if (def.check) addCheck(def, null, draft);
  for (const check of def.checks ?? []) addCheck(check._zod.def, check, draft);
}

/** `node` is null where the schema is a check itself (`z.int()`, `z.email()`). */
function addCheck(def: ZodDef, node: ZodNode | null, draft: Draft): void {
  const { checks } = draft;
  switch (def.check) {
    case 'less_than':
    case 'greater_than': {
      const kind = def.check === 'less_than' ? 'max' : 'min';
      const { value } = def;
      if (typeof value === 'object' && def.inclusive) checks.push({ kind: `${kind}Date`, value: new Date(value) });
      else if (typeof value === 'number' || typeof value === 'bigint') checks.push({ kind, value, inclusive: def.inclusive === true });
      else leaveToZod(draft, `${kind} date, exclusive`);
      return;
    }
    case 'multiple_of':
      if (typeof def.value === 'number' || typeof def.value === 'bigint') checks.push({ kind: 'multipleOf', value: def.value });
      return;
    case 'number_format':
      addNumberFormat(def.format ?? 'float64', draft);
      return;
    case 'bigint_format': {
      const range = BIGINT_FORMATS[def.format ?? ''];
      if (!range) {
        leaveToZod(draft, `format ${def.format}`);
        return;
      }
      checks.push({ kind: 'min', value: range[0], inclusive: true }, { kind: 'max', value: range[1], inclusive: true });
      if (def.format === 'int64') draft.sqlType ??= 'bigint';
      return;
    }
    case 'min_length':
      addLength('minLength', def.minimum, node, draft);
      return;
    case 'max_length':
      addLength('maxLength', def.maximum, node, draft);
      return;
    case 'length_equals':
      addLength('length', def.length, node, draft);
      return;
    case 'string_format':
      addStringFormat(def, draft);
      return;
    default:
      leaveToZod(draft, node ? nameOfCheck(node) : (def.check ?? 'check'));
  }
}

function addNumberFormat(format: string, draft: Draft): void {
  const range = NUMBER_FORMATS[format];
  if (range === undefined) {
    leaveToZod(draft, `format ${format}`);
    return;
  }
  if (format.includes('int')) draft.type = 'int';
  if (format === 'int32') draft.sqlType ??= 'integer';
  if (range) draft.checks.push({ kind: 'min', value: range[0], inclusive: true }, { kind: 'max', value: range[1], inclusive: true });
}

function addStringFormat(def: ZodDef, draft: Draft): void {
  const asDay = def.format === 'date';
  const asInstant = def.format === 'datetime' && (def.precision === null || def.precision === undefined);
  if (def.pattern && draft.type === 'string' && draft.checks.length === 0 && !draft.uncompiled && (asDay || asInstant)) {
    draft.type = asDay ? 'isoDate' : 'isoDatetime';
    draft.pattern = def.pattern;
    return;
  }
  leaveToZod(draft, def.format === 'regex' ? 'regular expression' : `format ${def.format}`);
}

function addLength(kind: 'minLength' | 'maxLength' | 'length', value: number | undefined, node: ZodNode | null, draft: Draft): void {
  if (value === undefined || !node) {
    leaveToZod(draft, 'length');
    return;
  }
  if (countsCodePoints(node)) draft.checks.push({ kind, value });
  else leaveToZod(draft, 'length in UTF-16 code units');
}

/** Asks this copy of zod itself: one character of two code units has the length 1 or 2. */
function countsCodePoints(check: ZodNode): boolean {
  const probe = new check._zod.constr({ check: 'length_equals', ...check._zod.def, minimum: 2, maximum: 1, length: 1 });
  const payload = { value: '\u{1f600}', issues: [] };
  probe._zod.check?.(payload);
  return check._zod.def.check === 'min_length' ? payload.issues.length === 1 : payload.issues.length === 0;
}

function leaveToZod(draft: Draft, because: string): void {
  draft.uncompiled ??= because;
}

function nameOfCheck(check: ZodNode): string {
  const def = check._zod.def;
  switch (def.check) {
    case 'custom':
      return 'refinement';
    case 'overwrite':
      return 'transform';
    case 'string_format':
      return def.format === 'regex' ? 'regular expression' : `format ${def.format}`;
    default:
      return (def.check ?? 'check').replaceAll('_', ' ');
  }
}

function sqlTypeFromMeta(schema: ZodNode): string | null {
  const meta = typeof schema.meta === 'function' ? schema.meta() : undefined;
  const sqlType = (meta as { sqlType?: unknown } | undefined)?.sqlType;
  return typeof sqlType === 'string' ? sqlType : null;
}

/** `z.json()`: any value that JSON has, so that every parsed JSON passes. */
function isJsonSchema(schema: ZodNode): boolean {
  const def = schema._zod.def;
  if (!def.getter || def.checks?.length) return false;
  const union = def.getter()._zod.def;
  if (union.type !== 'union' || union.checks?.length) return false;
  const options = union.options ?? [];
  const kinds = new Set(options.filter((option) => !option._zod.def.checks?.length).map((option) => option._zod.def.type));
  const wanted = ['string', 'number', 'boolean', 'null', 'array', 'record'];
  if (options.length !== wanted.length || !wanted.every((kind) => kinds.has(kind))) return false;
  return options.every((option) => {
    const each = option._zod.def as { type?: string; element?: unknown; valueType?: unknown };
    return (each.type !== 'array' || each.element === schema) && (each.type !== 'record' || each.valueType === schema);
  });
}
