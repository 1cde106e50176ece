/** The row schema taken apart: types, checks, SQL types, and what is left to zod. */
import { z } from 'zod';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import type { ColumnType } from '../../../src/validation/row-schema.ts';

function column(schema: z.ZodType): Omit<ColumnType, 'name'> {
  const [compiled] = compileRowSchema(z.object({ c: schema })).columns;
  if (!compiled) throw new Error('no column');
  const { name: _name, ...rest } = compiled;
  return rest;
}

const plain = { nullable: false, optional: false, checks: [], uncompiled: null };

test.each<[string, z.ZodType, Partial<ColumnType>]>([
  ['string', z.string(), { type: 'string', sqlType: 'text' }],
  ['int', z.int(), { type: 'int', sqlType: 'bigint' }],
  ['number().int()', z.number().int(), { type: 'int', sqlType: 'bigint' }],
  ['number', z.number(), { type: 'number', sqlType: 'double precision' }],
  ['bigint', z.bigint(), { type: 'bigint', sqlType: 'numeric' }],
  ['boolean', z.boolean(), { type: 'boolean', sqlType: 'boolean' }],
  ['date', z.date(), { type: 'date', sqlType: 'timestamptz' }],
  ['iso.date', z.iso.date(), { type: 'isoDate', sqlType: 'date' }],
  ['iso.datetime', z.iso.datetime(), { type: 'isoDatetime', sqlType: 'timestamptz' }],
  ['string().date()', z.string().date(), { type: 'isoDate', sqlType: 'date' }],
  ['json', z.json(), { type: 'json', sqlType: 'jsonb', nullable: true }],
  ['unknown', z.unknown(), { type: 'json', sqlType: 'jsonb', nullable: true }],
])('z.%s', (_name, schema, wanted) => {
  expect(column(schema)).toEqual({ ...plain, ...wanted });
});

test.each<[string, z.ZodType, Partial<ColumnType>]>([
  ['string().length(3)', z.string().length(3), { checks: [{ kind: 'length', value: 3 }] }],
  [
    'string().min(1).max(9)',
    z.string().min(1).max(9),
    {
      checks: [
        { kind: 'minLength', value: 1 },
        { kind: 'maxLength', value: 9 },
      ],
    },
  ],
  ['int().min(-120)', z.int().min(-120), { checks: [{ kind: 'min', value: -120, inclusive: true }] }],
  ['int().positive()', z.int().positive(), { checks: [{ kind: 'min', value: 0, inclusive: false }] }],
  [
    'number().lt(5).multipleOf(0.5)',
    z.number().lt(5).multipleOf(0.5),
    {
      checks: [
        { kind: 'max', value: 5, inclusive: false },
        { kind: 'multipleOf', value: 0.5 },
      ],
    },
  ],
  [
    'int32',
    z.int32(),
    {
      sqlType: 'integer',
      checks: [
        { kind: 'min', value: -2147483648, inclusive: true },
        { kind: 'max', value: 2147483647, inclusive: true },
      ],
    },
  ],
  [
    'int64',
    z.int64(),
    {
      sqlType: 'bigint',
      checks: [
        { kind: 'min', value: -(2n ** 63n), inclusive: true },
        { kind: 'max', value: 2n ** 63n - 1n, inclusive: true },
      ],
    },
  ],
  ['date().min()', z.date().min(new Date(0)), { checks: [{ kind: 'minDate', value: new Date(0) }] }],
  ['enum', z.enum(['a', 'b']), { type: 'string', checks: [{ kind: 'oneOf', values: ['a', 'b'] }] }],
  ['literal(1)', z.literal(1), { type: 'int', sqlType: 'bigint', checks: [{ kind: 'oneOf', values: [1] }] }],
  [
    'a union of literals',
    z.union([z.literal('a'), z.enum(['b', 'c']), z.literal(null)]),
    { type: 'string', nullable: true, checks: [{ kind: 'oneOf', values: ['a', 'b', 'c'] }] },
  ],
  ['a union with null', z.union([z.int(), z.null()]), { type: 'int', nullable: true }],
  ['nullable', z.string().max(2).nullable(), { type: 'string', nullable: true, checks: [{ kind: 'maxLength', value: 2 }] }],
  ['optional', z.string().optional(), { type: 'string', optional: true }],
  ['nullish', z.string().nullish(), { type: 'string', optional: true, nullable: true }],
])('checks of z.%s', (_name, schema, wanted) => {
  expect(column(schema)).toMatchObject({ uncompiled: null, ...wanted });
});

test.each<[string, z.ZodType, string, string]>([
  ['url', z.url(), 'string', 'format url, which trims'],
  ["a format of one's own", z.stringFormat('even', (value) => value.length % 2 === 0), 'string', 'format even'],
  ['an address anywhere but at the beginning', z.string().includes('@', { position: 1 }), 'string', 'format includes'],
  ['a refinement', z.int().refine(() => true), 'int', 'refinement'],
  [
    'a refinement of a nullable',
    z
      .int()
      .nullable()
      .refine(() => true),
    'int',
    'refinement',
  ],
  ['trim', z.string().trim(), 'string', 'transform'],
  ['a transform', z.string().transform(Number), 'string', 'transform'],
  ['coercion', z.coerce.number(), 'number', 'coercion'],
  ['preprocess', z.preprocess((value) => value, z.int()), 'int', 'transform'],
  ['a default', z.int().default(0), 'int', 'default'],
  ['catch', z.int().catch(0), 'int', 'catch'],
  ['a union', z.union([z.int(), z.string()]), 'json', 'union'],
  ['an object', z.object({ a: z.int() }), 'json', 'object'],
  ['an array', z.array(z.int()), 'json', 'array'],
  ['a record', z.record(z.string(), z.int()), 'json', 'record'],
])('%s is left to zod', (_name, schema, type, uncompiled) => {
  expect(column(schema)).toMatchObject({ type, uncompiled });
});

test.each<[string, z.ZodType, string]>([
  ['a regular expression', z.string().regex(/a/), 'regex'],
  ['email', z.email(), 'email'],
  ['string().uuid()', z.string().uuid(), 'uuid'],
  ['ipv6', z.ipv6(), 'ipv6'],
  ['base64', z.base64(), 'base64'],
  ['iso.time', z.iso.time(), 'time'],
  ['iso.datetime with a precision', z.iso.datetime({ precision: 3 }), 'datetime'],
  ['lower case', z.string().lowercase(), 'lowercase'],
])("%s is judged by zod's own check, in the worker", (_name, schema, format) => {
  expect(column(schema)).toMatchObject({ type: 'string', uncompiled: null, checks: [{ kind: 'format', format }] });
});

test('beginnings, ends and parts of strings', () => {
  expect(column(z.string().startsWith('a').endsWith('z').includes('-'))).toMatchObject({
    uncompiled: null,
    checks: [
      { kind: 'startsWith', value: 'a' },
      { kind: 'endsWith', value: 'z' },
      { kind: 'includes', value: '-' },
    ],
  });
});

test('the SQL type of .meta() wins, wherever it stands', () => {
  expect(column(z.number().meta({ sqlType: 'numeric(12,2)' })).sqlType).toBe('numeric(12,2)');
  expect(column(z.number().meta({ sqlType: 'numeric(12,2)' }).min(1).nullable()).sqlType).toBe('numeric(12,2)');
  expect(column(z.int32().meta({ sqlType: 'smallint' })).sqlType).toBe('smallint');
  expect(column(z.string().transform(Number).pipe(z.int32())).sqlType).toBe('integer');
});

test.each<[string, z.ZodType, true | undefined]>([
  ['a default', z.int().default(0), true],
  ['a default inside of optional', z.int().prefault(0).optional(), true],
  ['optional', z.int().optional(), undefined],
  ['a default that is null', z.int().nullable().default(null), undefined],
  [
    'a default of what a transform made',
    z
      .string()
      .transform(() => null as string | null)
      .default('x'),
    undefined,
  ],
  ['catch', z.int().catch(0).default(1), undefined],
])('whether a column is always filled: %s', (_name, schema, hasDefault) => {
  expect(column(schema).hasDefault).toBe(hasDefault);
});

test.each<[string, z.ZodType, true | undefined]>([
  ['a transform', z.string().transform((text) => (text === 'NA' ? null : text)), true],
  ['a transform whose result a schema without null judges', z.string().transform(Number).pipe(z.int()), undefined],
  [
    'a transform whose result may be null',
    z
      .string()
      .transform((text): number | null => Number(text))
      .pipe(z.int().nullable()),
    true,
  ],
  [
    'a transform whose result may be missing',
    z
      .string()
      .transform((text): number | undefined => Number(text))
      .pipe(z.int().optional()),
    true,
  ],
  [
    'a transform whose missing result has a default',
    z
      .string()
      .transform((text): number | undefined => Number(text))
      .pipe(z.int().default(0)),
    undefined,
  ],
  ['a transform behind the schema of another', z.string().transform(Number).pipe(z.int()).transform(String), true],
  ['preprocess', z.preprocess(Number, z.int()), undefined],
  ['a union with a transform', z.union([z.int(), z.string().transform(() => null)]), true],
  ['a union', z.union([z.int(), z.string()]), undefined],
  ['a string', z.string(), undefined],
])('whether null may be made of a value: %s', (_name, schema, mayGiveNull) => {
  expect(column(schema)).toMatchObject({ nullable: false });
  expect(column(schema).mayGiveNull).toBe(mayGiveNull);
});

test('a union takes what one of its schemas takes', () => {
  expect(column(z.union([z.string().nullable(), z.int()]))).toMatchObject({ nullable: true, optional: false });
  expect(column(z.union([z.string(), z.int().optional()]))).toMatchObject({ nullable: false, optional: true });
});

test('a refinement of the row is left to zod', () => {
  const schema = z.object({ a: z.int(), b: z.int() });
  expect(compileRowSchema(schema).uncompiled).toBeNull();
  expect(compileRowSchema(schema.refine((row) => row.a < row.b)).uncompiled).toBe('refinement');
});

test('what no column can hold is refused, naming the column', () => {
  expect(() => column(z.map(z.string(), z.string()))).toThrow('column "c": z.map()');
  expect(() => compileRowSchema(z.string() as never)).toThrow('not a zod 4 object');
});

test('lengths of a zod that counts UTF-16 code units are left to it', () => {
  const schema = z.string().max(3);
  const [check] = schema._zod.def.checks ?? [];
  if (!check) throw new Error('no check');
  // As zod 4.0 had it.
  const old = function (this: unknown, def: { maximum: number }) {
    return {
      _zod: {
        def,
        check: (payload: { value: string; issues: unknown[] }) => payload.value.length > def.maximum && payload.issues.push({}),
      },
    };
  };
  Object.defineProperty(check._zod, 'constr', { value: old });
  expect(column(schema)).toMatchObject({ checks: [], uncompiled: 'length in UTF-16 code units' });
});
