/** Rows as received against the row schema: conversion, verdict, reason. */
import fc from 'fast-check';
import { z } from 'zod';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { ExactNumber, parseJsonExactly } from '../../../src/validation/exact-number.ts';
import { createRowParser, type ParsedRow } from '../../../src/validation/row-parser.ts';

function parse(schema: z.ZodType, from: 'text' | 'json' | 'typed', value: unknown): unknown {
  const parsed = createRowParser(compileRowSchema(z.object({ c: schema })), from)(value === undefined ? {} : { c: value });
  return parsed.ok ? parsed.row.c : `${parsed.column}: ${parsed.reason}`;
}

describe('text', () => {
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['int', z.int(), '+007', 7],
    ['int', z.int(), '1.0', 'c: expected an integer'],
    ['int', z.int(), '', 'c: expected an integer'],
    ['int', z.int(), ' 1', 'c: expected an integer'],
    ['int', z.int(), '9007199254740993', 'c: outside the range of a safe integer'],
    ['int', z.int().min(-120), '-121', 'c: less than -120'],
    ['int32', z.int32(), '2147483648', 'c: greater than 2147483647'],
    ['number', z.number(), '-1.5e3', -1500],
    ['number', z.number(), '.5', 0.5],
    ['number', z.number(), 'NaN', 'c: expected a number'],
    ['number', z.number(), '0x10', 'c: expected a number'],
    ['number', z.number(), '1e999', 'c: outside the range of a number'],
    ['bigint', z.bigint(), '+123456789012345678901234567890', 123456789012345678901234567890n],
    ['bigint', z.int64(), '9223372036854775808', 'c: greater than 9223372036854775807'],
    ['boolean', z.boolean(), 'YES', true],
    ['boolean', z.boolean(), 'f', false],
    ['boolean', z.boolean(), 'maybe', 'c: expected true or false'],
    ['date', z.date(), '2001-02-28', new Date('2001-02-28T00:00:00Z')],
    ['date', z.date(), '2001-02-28 01:02:03.5+01:30', new Date('2001-02-27T23:32:03.500Z')],
    ['date', z.date(), '2001-02-28 01:02:03+01', new Date('2001-02-28T00:02:03Z')],
    ['date', z.date(), '2001-02-28T01:02', new Date('2001-02-28T01:02:00Z')],
    ['date', z.date(), '2001-02-30', 'c: not a date that exists'],
    ['date', z.date(), '2001-13-01', 'c: not a date that exists'],
    ['date', z.date(), '2001-01-01 25:00:00', 'c: not a date that exists'],
    ['date', z.date(), '1900-02-29', 'c: not a date that exists'],
    ['date', z.date(), '02/28/2001', 'c: expected a date'],
    ['date', z.date().min(new Date('2001-01-01')), '2000-12-31', 'c: before 2001-01-01T00:00:00.000Z'],
    ['isoDate', z.iso.date(), '2000-02-29', '2000-02-29'],
    ['isoDate', z.iso.date(), '2001-02-30', 'c: not a date that exists'],
    ['isoDate', z.iso.date(), '2001-02-03 10:00:00', 'c: has a time of day'],
    ['isoDatetime', z.iso.datetime(), '2001-02-03T04:05:06Z', '2001-02-03T04:05:06Z'],
    ['isoDatetime', z.iso.datetime(), '2001-02-03 04:05:06.123456+02', '2001-02-03T02:05:06.123456Z'],
    ['isoDatetime', z.iso.datetime(), '2001-02-03T04:05:06+02:00', 'c: expected a date'],
    ['string', z.string().max(3), 'abcd', 'c: longer than 3'],
    ['string', z.string().max(3), '😀😀😀', '😀😀😀'],
    ['string', z.string().min(2), '😀', 'c: shorter than 2'],
    ['string', z.string().length(3), 'ab', 'c: length is not 3'],
    ['enum', z.enum(['a', 'b']), 'c', 'c: not one of a, b'],
    ['json', z.json(), '{"a":[1,null]}', { a: [1, null] }],
    ['json', z.json(), '{', 'c: not valid JSON'],
    ['null', z.string(), null, 'c: null is not allowed'],
    ['null', z.string().nullable(), null, null],
    ['missing', z.string(), undefined, 'c: missing'],
    ['missing', z.string().nullable(), undefined, 'c: missing'],
    ['missing', z.string().optional(), undefined, undefined],
    ['an empty field of an optional column', z.string().optional(), null, undefined],
    ['an empty field with a default', z.int().default(5), null, 5],
    ['catch', z.int().catch(7), 'x', 7],
    ['catch', z.int().catch(7), null, 7],
    ['email', z.email(), 'x', 'c: not a valid email'],
    ['email', z.email(), null, 'c: null is not allowed'],
    ['email', z.email(), undefined, 'c: missing'],
    ['a regular expression', z.string().regex(/^a/), 'b', 'c: does not match the regular expression'],
    ['a refinement', z.int().refine((value) => value !== 3, 'three'), '3', 'c: three'],
    [
      'a check before a refinement',
      z
        .int()
        .min(5)
        .refine(() => true),
      '3',
      'c: less than 5',
    ],
    ['a transform', z.string().transform((value) => value.length), 'abc', 3],
    ['coercion', z.coerce.number(), '12', 12],
    [
      'a refinement that throws',
      z.string().refine(() => {
        throw new Error('no');
      }),
      'x',
      'c: the row schema threw: Error',
    ],
    ['an asynchronous refinement', z.string().refine(async () => true), 'x', 'c: the row schema is asynchronous'],
  ])('%s (%#)', (_name, schema, value, wanted) => {
    expect(parse(schema, 'text', value)).toEqual(wanted);
  });
});

describe('JSON values', () => {
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['int', z.int(), 7, 7],
    ['int', z.int(), '7', 'c: expected an integer'],
    ['int', z.int(), 7.5, 'c: expected an integer'],
    ['int', z.int(), 9007199254740993n, 'c: outside the range of a safe integer'],
    ['number', z.number(), new ExactNumber('0.12345678901234567890'), 0.12345678901234568],
    ['number', z.number(), new ExactNumber('1e400'), 'c: outside the range of a number'],
    ['number', z.number(), true, 'c: expected a number'],
    ['bigint', z.bigint(), 5, 5n],
    ['bigint', z.bigint(), '123456789012345678901', 123456789012345678901n],
    ['boolean', z.boolean(), 1, 'c: expected true or false'],
    ['boolean', z.boolean(), 'true', 'c: expected true or false'],
    ['date', z.date(), '2001-02-28T00:00:00Z', new Date('2001-02-28T00:00:00Z')],
    ['date', z.date(), '2001-02-30', 'c: not a date that exists'],
    ['date', z.date(), 0, 'c: expected a date'],
    ['string', z.string(), 5, 'c: expected a string'],
    ['null', z.string().optional(), null, 'c: null is not allowed'],
    ['an object', z.object({ a: z.number() }), { a: 1 }, { a: 1 }],
    ['an object', z.object({ a: z.number() }), { a: 'x' }, 'c: expected a number'],
    [
      'exact numbers in an object',
      z.object({ a: z.number() }),
      { a: new ExactNumber('0.12345678901234567890') },
      { a: 0.12345678901234568 },
    ],
  ])('%s (%#)', (_name, schema, value, wanted) => {
    expect(parse(schema, 'json', value)).toEqual(wanted);
  });

  test('what objects inherit is no value', () => {
    const parser = createRowParser(compileRowSchema(z.object({ constructor: z.unknown(), toString: z.string() })), 'json');
    expect(parser({ constructor: 1 })).toEqual({ ok: false, column: 'toString', reason: 'missing' });
    expect(parser({})).toEqual({ ok: false, column: 'constructor', reason: 'missing' });
  });
});

describe('typed values', () => {
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['int', z.int(), 7n, 7],
    ['int', z.int(), 2n ** 60n, 'c: outside the range of a safe integer'],
    ['bigint', z.bigint(), 7, 7n],
    ['date', z.date(), new Date(5), new Date(5)],
    ['date', z.date(), new Date(Number.NaN), 'c: not a date that exists'],
    ['isoDate', z.iso.date(), new Date('2001-02-03T00:00:00Z'), '2001-02-03'],
    ['isoDate', z.iso.date(), new Date('2001-02-03T01:00:00Z'), 'c: has a time of day'],
    ['isoDatetime', z.iso.datetime(), new Date('2001-02-03T01:00:00Z'), '2001-02-03T01:00:00.000Z'],
    ['number', z.number(), Number.NaN, 'c: expected a number'],
  ])('%s (%#)', (_name, schema, value, wanted) => {
    expect(parse(schema, 'typed', value)).toEqual(wanted);
  });
});

test('the first column with a problem is named, in the order of the schema', () => {
  const schema = z.object({ a: z.int().min(5), b: z.email(), c: z.int() });
  const parser = createRowParser(compileRowSchema(schema), 'text');
  expect(parser({ a: '4', b: 'x', c: 'y' })).toEqual({ ok: false, column: 'a', reason: 'less than 5' });
  expect(parser({ a: '6', b: 'x', c: 'y' })).toEqual({ ok: false, column: 'b', reason: 'not a valid email' });
  expect(parser({ a: '6', b: 'x@example.com', c: 'y' })).toEqual({ ok: false, column: 'c', reason: 'expected an integer' });
});

test('a refinement of the row sees each transform once', () => {
  const schema = z
    .object({ a: z.string().transform((text) => `${text}!`), b: z.int() })
    .refine((row) => row.a !== 'x!', { message: 'a is x', path: ['a'] });
  const parser = createRowParser(compileRowSchema(schema), 'text');
  expect(parser({ a: 'y', b: '1' })).toEqual({ ok: true, row: { a: 'y!', b: 1 } });
  expect(parser({ a: 'x', b: '1' })).toEqual({ ok: false, column: 'a', reason: 'a is x' });
});

test('columns that the schema does not have are left out, also where it is strict', () => {
  const parser = createRowParser(compileRowSchema(z.strictObject({ a: z.string() })), 'text');
  expect(parser({ a: 'x', b: 'y' })).toEqual({ ok: true, row: { a: 'x' } });
});

describe("the verdict is zod's", () => {
  const bound = fc.integer({ min: -20, max: 20 });
  const length = fc.integer({ min: 0, max: 4 });
  const withChecks = <T extends z.ZodType>(
    base: fc.Arbitrary<T>,
    ...checks: fc.Arbitrary<(schema: never) => z.ZodType>[]
  ): fc.Arbitrary<z.ZodType> =>
    fc
      .tuple(
        base,
        fc.subarray(checks).chain((chosen) => fc.tuple(...chosen)),
      )
      .map(([schema, each]) => each.reduce((made: z.ZodType, check) => check(made as never), schema));

  const strings = withChecks(
    fc.constant(z.string()),
    length.map((n) => (schema: z.ZodString) => schema.min(n)),
    length.map((n) => (schema: z.ZodString) => schema.max(n)),
    length.map((n) => (schema: z.ZodString) => schema.length(n)),
  );
  const numbers = withChecks(
    fc.constantFrom<() => z.ZodNumber>(z.number, z.int, z.int32, z.float32, z.uint32).map((make) => make()),
    bound.map((n) => (schema: z.ZodNumber) => schema.min(n)),
    bound.map((n) => (schema: z.ZodNumber) => schema.lt(n)),
    fc.constantFrom(0.1, 0.07, 2, 3).map((n) => (schema: z.ZodNumber) => schema.multipleOf(n)),
  );
  const bigints = withChecks(
    fc.constantFrom<() => z.ZodBigInt>(z.bigint, z.int64, z.uint64).map((make) => make()),
    bound.map((n) => (schema: z.ZodBigInt) => schema.gt(BigInt(n))),
    fc.constant((schema: z.ZodBigInt) => schema.multipleOf(3n)),
  );
  const dates = withChecks(
    fc.constant(z.date()),
    bound.map((n) => (schema: z.ZodDate) => schema.min(new Date(n))),
    bound.map((n) => (schema: z.ZodDate) => schema.max(new Date(n))),
  );
  const others = fc.constantFrom<() => z.ZodType>(
    () => z.boolean(),
    () => z.enum(['a', 'b']),
    () => z.literal([1, 2, null]),
    () => z.union([z.literal('a'), z.literal('😀')]),
    () => z.iso.date(),
    () => z.iso.datetime({ offset: true }),
    () => z.json(),
    () => z.email(),
    () => z.string().trim().min(2),
    () => z.int().refine((value) => value % 2 === 0, 'odd'),
    () => z.string().default('d'),
    () => z.int().catch(7),
    () => z.object({ a: z.int() }),
    () => z.union([z.int(), z.string().max(2)]),
  );
  const wrapped = fc
    .tuple(
      fc.oneof(
        strings,
        numbers,
        bigints,
        dates,
        others.map((make) => make()),
      ),
      fc.constantFrom('plain', 'nullable', 'optional', 'nullish'),
    )
    .map(([schema, how]) =>
      how === 'plain' ? schema : how === 'nullable' ? schema.nullable() : how === 'optional' ? schema.optional() : schema.nullish(),
    );

  const value = fc.oneof(
    fc.constantFrom(
      null,
      undefined,
      true,
      'a',
      'b',
      '',
      ' x ',
      '😀',
      '😀😀',
      '\ud800',
      'a\ud800b',
      '2001-02-28',
      '2001-02-28T10:00:00Z',
      'x@example.com',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.integer({ min: -25, max: 25 }),
    fc.double(),
    fc.constantFrom(0.3, 2.03, -0, 2 ** 53, 2 ** 31, -(2 ** 31), 4294967295, 1e39),
    fc.bigInt({ min: -30n, max: 30n }),
    fc.constantFrom(2n ** 63n, 2n ** 64n - 1n),
    fc.integer({ min: -25, max: 25 }).map((n) => new Date(n)),
    fc.constant(new Date(Number.NaN)),
    fc.constantFrom({ a: 1 }, { a: 'x' }, [1]),
  );

  test('of typed rows', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('p', 'q', 'r'), wrapped, { minKeys: 1 }),
        fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 5, maxLength: 5 }),
        (shape, rows) => {
          const schema = z.object({ ...shape });
          const compiled = compileRowSchema(schema);
          const parser = createRowParser(compiled, 'typed');
          for (const values of rows) {
            const row: Record<string, unknown> = {};
            for (const [index, { name, type, optional, nullable }] of compiled.columns.entries()) {
              let given = values[index];
              // What conversion would change is no question for zod.
              if ((type === 'int' || type === 'number') && typeof given === 'bigint') given = 'x';
              if (type === 'bigint' && (typeof given === 'number' || typeof given === 'string')) given = 1n;
              if (type.startsWith('iso') && given instanceof Date) given = 'x';
              if (type === 'date' && typeof given === 'string') given = 5;
              if (type === 'json' && typeof given !== 'number' && typeof given !== 'string') given = null;
              if (given === null && optional && !nullable) given = undefined;
              if (given !== undefined) row[name] = given;
            }
            const parsed: ParsedRow = parser(row);
            const judged = schema.safeParse(row);
            expect(parsed.ok).toBe(judged.success);
            if (parsed.ok && judged.success) expect(parsed.row).toEqual(judged.data);
            if (!parsed.ok && !judged.success) expect(parsed.column).toBe(judged.error.issues[0]?.path[0]);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test('and the reason is the same on both paths', () => {
    fc.assert(
      fc.property(fc.oneof(strings, numbers, bigints, dates), value, (schema, given) => {
        fc.pre(
          typeof given !== 'bigint' &&
            !(typeof given === 'number' && compileRowSchema(z.object({ c: schema })).columns[0]?.type === 'bigint'),
        );
        fc.pre(
          !(typeof given === 'string' && ['bigint', 'date'].includes(compileRowSchema(z.object({ c: schema })).columns[0]?.type ?? '')),
        );
        const byZod = (schema as z.ZodString).refine(() => true);
        expect(parse(byZod, 'typed', given)).toEqual(parse(schema, 'typed', given));
      }),
      { numRuns: 400 },
    );
  });
});

test('JSON numbers lose no digits', () => {
  const parsed = parseJsonExactly(
    '{"a":9007199254740993,"b":[0.12345678901234567890,1e400,1e3,-0.5,1.50000000000000000],"c":"9007199254740993 \\" 9007199254740995","__proto__":12345678901234567890}',
  ) as Record<string, unknown>;
  expect(parsed.a).toBe(9007199254740993n);
  expect(parsed.b).toEqual([new ExactNumber('0.12345678901234567890'), new ExactNumber('1e400'), 1000, -0.5, 1.5]);
  expect(parsed.c).toBe('9007199254740993 " 9007199254740995');
  expect(Object.getOwnPropertyDescriptor(parsed, '__proto__')?.value).toBe(12345678901234567890n);
});
