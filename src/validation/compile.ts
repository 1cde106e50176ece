/**
 * Takes a zod 4 object apart into columns: the type of value, the checks that every path can make (the worker, DuckDB, SQL),
 * and the PostgreSQL type that stores it. What cannot be said as a check is named in `uncompiled`; zod itself judges it.
 *
 * Works on `_zod.def` only, never on `instanceof`: a pipeline module may bring its own copy of zod.
 */
import type { z } from 'zod';
import { DefinitionError } from '../errors.ts';
import { addCheck } from './column-checks.ts';
import { type Draft, leaveToZod, setJson, setValues, type TakenApart } from './column-draft.ts';
import type { ColumnType, RowSchema, ValueType } from './row-schema.ts';
import { enumValues, isJsonSchema, literalValues, nameOfCheck, sqlTypeFromMeta, type ZodDef, type ZodNode } from './zod-node.ts';

export type { TakenApart, ZodNode };

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
    const { type, nullable, optional, hasDefault, mayGiveNull, checks, sqlType, uncompiled } = takeApart(name, column);
    const gives = { ...(hasDefault ? { hasDefault } : {}), ...(mayGiveNull ? { mayGiveNull } : {}) };
    return { name, type, nullable, optional, ...gives, checks, sqlType, uncompiled };
  });
  const first = def.checks?.[0];
  return { columns, zod: schema, uncompiled: first ? nameOfCheck(first) : null };
}

/** One column of a row schema taken apart. */
export function takeApart(name: string, schema: ZodNode): TakenApart {
  const draft: Draft = {
    defaulted: false,
    mayGiveNull: false,
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
  return {
    ...draft,
    hasDefault: draft.defaulted && !draft.mayGiveNull && !draft.nullable,
    sqlType: draft.sqlType ?? SQL_TYPES[draft.type],
  };
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
      draft.defaulted = true;
      inner(def.type);
      return;
    case 'catch':
      draft.optional = true;
      draft.catches = true;
      draft.mayGiveNull = true;
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
      leaf(name, schema, draft);
      return;
  }
}

/** The value is read as the input's type; the table stores the output's, where it is known. Only a transform's output is not. */
function unwrapPipe(name: string, def: ZodDef, draft: Draft, depth: number): void {
  leaveToZod(draft, 'transform');
  if (!def.in || !def.out) {
    setJson(draft, 'transform');
    draft.mayGiveNull = true;
    return;
  }
  if (def.in._zod.def.type === 'transform') {
    unwrap(name, def.out, draft, depth + 1);
    draft.raw = true;
    return;
  }
  const out = def.out._zod.def.type === 'transform' ? null : takeApart(name, def.out);
  if (out) draft.sqlType ??= out.sqlType;
  const mayGiveNull = draft.mayGiveNull || out === null || givesNull(out);
  unwrap(name, def.in, draft, depth + 1);
  // Whatever the input's schema gives, the output's has the last word.
  draft.mayGiveNull = mayGiveNull;
}

/** A column has null for what is undefined, too. */
const givesNull = (schema: TakenApart): boolean =>
  schema.nullable || schema.mayGiveNull === true || (schema.optional && schema.hasDefault !== true);

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
  const apart = rest.map((option) => takeApart(name, option));
  const types = new Set(apart.map(({ type }) => type));
  leaveToZod(draft, 'union');
  if (apart.some(({ nullable }) => nullable)) draft.nullable = true;
  if (apart.some(({ optional }) => optional)) draft.optional = true;
  if (apart.some(({ mayGiveNull }) => mayGiveNull)) draft.mayGiveNull = true;
  draft.type = types.size === 1 ? ([...types][0] ?? 'json') : 'json';
  draft.raw = types.size > 1 && !types.has('json');
}

const NOT_A_LITERAL = Symbol('not a literal');

function leaf(name: string, schema: ZodNode, draft: Draft): void {
  const { def } = schema._zod;
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
  if (def.check) addCheck(schema, draft);
  for (const check of def.checks ?? []) addCheck(check, draft);
}
