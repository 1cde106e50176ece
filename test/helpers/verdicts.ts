/**
 * Random row schemas with random rows, and what zod says of each row: the reference that every path is held to. A path is added by one
 * property over {@link tables} that compares its refused rows with {@link zodSays}.
 */
import fc from 'fast-check';
import { z } from 'zod';
import { compileRowSchema, takeApart, type ZodNode } from '../../src/validation/compile.ts';
import { conversion, Refusal, type ValueOrigin } from '../../src/validation/convert.ts';
import { roundExactNumbers, stringifyJsonExactly } from '../../src/validation/exact-number.ts';
import type { RowSchema } from '../../src/validation/row-schema.ts';

export type Text = string | null;

/** A type of column with texts of values that PostgreSQL and DuckDB both take for it. */
export interface StoredType {
  readonly postgres: string;
  readonly duckdb: string;
  readonly values: fc.Arbitrary<Text>;
  readonly schemas: fc.Arbitrary<Labelled>;
}

/** A column's schema, and how it is written in a counterexample. */
export interface Labelled {
  readonly label: string;
  readonly zod: z.ZodType;
}

export interface Table {
  readonly types: readonly StoredType[];
  readonly schemas: readonly Labelled[];
  /** Values of `c0`, `c1`, ... as text. */
  readonly rows: readonly (readonly Text[])[];
}

const some = (...schemas: (readonly [string, () => z.ZodType])[]): fc.Arbitrary<Labelled> =>
  fc.constantFrom(...schemas).map(([label, make]) => ({ label, zod: make() }));

/** Checks added one after another, as a user chains them. */
function chained<T extends z.ZodType>(base: readonly [string, () => T], checks: readonly (readonly [string, (schema: T) => T])[]) {
  return fc.subarray([...checks], { maxLength: 2 }).map(
    (picked): Labelled => ({
      label: [base[0], ...picked.map(([label]) => label)].join('.'),
      zod: picked.reduce((schema, [, add]) => add(schema), base[1]()),
    }),
  );
}

const strings = fc.oneof(
  chained(
    ['string()', () => z.string()],
    [
      ['min(1)', (s) => s.min(1)],
      ['max(3)', (s) => s.max(3)],
      ['length(2)', (s) => s.length(2)],
      ['regex(/^[A-Z]{2,3}$/)', (s) => s.regex(/^[A-Z]{2,3}$/)],
      ['regex(/^(?:a|b\\d)+$/)', (s) => s.regex(/^(?:a|b\d)+$/)],
      ['regex(/^.{2}$/)', (s) => s.regex(/^.{2}$/)],
      ['regex(/^.{2}$/u)', (s) => s.regex(/^.{2}$/u)],
      ['regex(/\\bk/i)', (s) => s.regex(/\bk/i)],
      ['regex(/^\\s*\\S/m)', (s) => s.regex(/^\s*\S/m)],
      ['regex(/a/g)', (s) => s.regex(/a/g)],
      ['startsWith(a)', (s) => s.startsWith('a')],
      ['endsWith(😀)', (s) => s.endsWith('😀')],
      [`includes(')`, (s) => s.includes(`'`)],
      ['includes(b, 1)', (s) => s.includes('b', { position: 1 })],
      ['lowercase()', (s) => s.lowercase()],
      ['uppercase()', (s) => s.uppercase()],
      ['trim()', (s) => s.trim()],
      ['toLowerCase()', (s) => s.toLowerCase()],
      ['refine()', (s) => s.refine((value) => value !== 'a')],
    ],
  ),
  some(
    ['email()', () => z.email()],
    ['uuid()', () => z.uuid()],
    ['guid()', () => z.guid()],
    ['url()', () => z.url()],
    ['ipv4()', () => z.ipv4()],
    ['ipv6()', () => z.ipv6()],
    ['cidrv4()', () => z.cidrv4()],
    ['base64()', () => z.base64()],
    ['e164()', () => z.e164()],
    ['ulid()', () => z.ulid()],
    ['nanoid()', () => z.nanoid()],
    ['emoji()', () => z.emoji()],
    ['iso.time()', () => z.iso.time()],
    ['iso.duration()', () => z.iso.duration()],
    ['iso.date()', () => z.iso.date()],
    ['iso.datetime({ offset })', () => z.iso.datetime({ offset: true })],
    ['iso.datetime({ precision: 3 })', () => z.iso.datetime({ precision: 3 })],
    [`enum(['a', 'ab', ''])`, () => z.enum(['a', 'ab', ''])],
    ['literal(a)', () => z.literal('a')],
    [`union(literal('a'), literal("it's"))`, () => z.union([z.literal('a'), z.literal("it's")])],
    ['union(string().max(1), email())', () => z.union([z.string().max(1), z.email()])],
    ['string().max(2).or(literal(null))', () => z.string().max(2).or(z.literal(null))],
    ['transform(length)', () => z.string().transform((value) => value.length)],
    ['catch(x)', () => z.string().max(2).catch('x')],
  ),
);

const integers = fc.oneof(
  chained(
    ['int()', () => z.int()],
    [
      ['min(-120)', (s) => s.min(-120)],
      ['lt(10)', (s) => s.lt(10)],
      ['positive()', (s) => s.positive()],
      ['multipleOf(3)', (s) => s.multipleOf(3)],
      ['refine()', (s) => s.refine((value) => value !== 7)],
    ],
  ),
  some(
    ['int32()', () => z.int32()],
    ['uint32()', () => z.uint32()],
    ['bigint()', () => z.bigint()],
    ['bigint().max(10)', () => z.bigint().max(10n)],
    ['int64()', () => z.int64()],
    ['bigint().multipleOf(7)', () => z.bigint().multipleOf(7n)],
    ['literal([0, 7])', () => z.literal([0, 7])],
    ['union(int().lt(0), int().gt(10))', () => z.union([z.int().lt(0), z.int().gt(10)])],
    ['union(int(), string())', () => z.union([z.int(), z.string()])],
    ['union(int().nullable(), string())', () => z.union([z.int().nullable(), z.string()])],
    ['union(int(), string().optional())', () => z.union([z.int(), z.string().optional()])],
    ['coerce.number()', () => z.coerce.number()],
    ['coerce.string()', () => z.coerce.string()],
  ),
);

const numbers = fc.oneof(
  chained(
    ['number()', () => z.number()],
    [
      ['gt(0.1)', (s) => s.gt(0.1)],
      ['max(1e6)', (s) => s.max(1e6)],
      ['multipleOf(0.1)', (s) => s.multipleOf(0.1)],
      ['int()', (s) => s.int()],
    ],
  ),
  some(
    ['float32()', () => z.float32()],
    ['union(number().lt(0), literal(3))', () => z.union([z.number().lt(0), z.literal(3)])],
    ['literal([0.1, 3])', () => z.literal([0.1, 3])],
    ['coerce.number().min(0)', () => z.coerce.number().min(0)],
  ),
);

const JUNE = new Date('2001-06-15T12:00:00.500Z');
const instants = fc.oneof(
  chained(
    ['date()', () => z.date()],
    [
      ['min(june)', (s) => s.min(JUNE)],
      ['max(june)', (s) => s.max(JUNE)],
      ['refine()', (s) => s.refine((value) => value.getUTCDate() !== 1)],
    ],
  ),
  some(
    ['coerce.date()', () => z.coerce.date()],
    ['iso.datetime()', () => z.iso.datetime()],
    ['iso.date()', () => z.iso.date()],
    ['string()', () => z.string()],
  ),
);

const documents = some(
  ['json()', () => z.json()],
  ['any()', () => z.any()],
  ['object({ a })', () => z.object({ a: z.int() })],
  ['array(string())', () => z.array(z.string())],
  ['record(int())', () => z.record(z.string(), z.int())],
);

/** @param sample a value that zod's output may be, for a default: zod gives it unchecked */
const wrapped = (schemas: fc.Arbitrary<Labelled>, sample: unknown): fc.Arbitrary<Labelled> =>
  fc.tuple(schemas, fc.constantFrom('', '', 'nullable', 'optional', 'nullish', 'default', 'sample')).map(([{ label, zod }, how]) => {
    switch (how) {
      case 'sample':
        return { label: `${label}.default(${String(sample)})`, zod: zod.default(sample as never) };
      case 'nullable':
        return { label: `${label}.nullable()`, zod: zod.nullable() };
      case 'optional':
        return { label: `${label}.optional()`, zod: zod.optional() };
      case 'nullish':
        return { label: `${label}.nullish()`, zod: zod.nullish() };
      case 'default':
        return { label: `${label}.nullable().default(null)`, zod: zod.nullable().default(null) };
      default:
        return { label, zod };
    }
  });

const orNull = (values: fc.Arbitrary<string>) => fc.option(values, { freq: 6 });

/** No NUL, which PostgreSQL has not, and no half of a surrogate pair, which UTF-8 has not. */
const anyText = fc.string({ unit: 'binary', maxLength: 5 }).filter((text) => !/[\p{Surrogate}\0]/u.test(text));
const texts = fc.oneof(
  anyText,
  fc.string({ unit: fc.constantFrom('a', 'b', '1', 'A', 'B', 'k', 'K', ' ', '\n', '😀', 'é', 'ſ', '\u212a'), maxLength: 4 }),
  fc.constantFrom(
    ...[
      '',
      'a',
      'ab',
      "it's",
      'x@y.de',
      'a.b@c',
      '1.2.3.4',
      '256.1.1.1',
      '::1',
      '10.0.0.0/8',
      'aGk=',
      '+491701234567',
      '12:30',
      '24:00:00',
    ],
    ...[
      '550e8400-e29b-41d4-a716-446655440000',
      '550E8400-E29B-41D4-A716-446655440000',
      '00000000-0000-0000-0000-000000000000',
      'P1D',
      'PT',
    ],
    ...[
      '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      'https://a.de',
      ' https://a.de',
      '2001-02-28',
      '2001-02-29',
      '2001-02-03T04:05:06Z',
      '2001-02-03T04:05:06.123Z',
    ],
    ...[
      '2001-02-03T04:05:06+01:00',
      '2001-02-03 04:05:06+00',
      'V1StGXR8_Z5jdHi6B-myT',
      'true',
      'null',
      '-7',
      '1e3',
      '+5',
      '007',
      '.5',
      '9007199254740993',
    ],
  ),
);
const ints = fc.oneof(fc.integer({ min: -130, max: 30 }), fc.constantFrom(2147483647, -2147483648)).map(String);
const longs = fc.oneof(
  fc.integer({ min: -130, max: 30 }).map(BigInt),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 2n ** 32n, 2n ** 63n - 1n),
);
const doubles = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 0.1, 0.3, 0.30000000000000004, 3, 1e6, 2 ** 53, 1e300, Number.NaN, Number.POSITIVE_INFINITY),
);
const decimals = fc.tuple(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), fc.constantFrom(0, 2, 4)).map(([units, zeros]) => {
  const digits = (units < 0n ? -units : units).toString().padStart(5, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4, digits.length - zeros).padEnd(4, '0')}`;
});
const micros = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map((finer) => ({ ms: JUNE.getTime(), finer })),
  fc.record({ ms: fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_000 }), finer: fc.integer({ min: 0, max: 999 }) }),
);
const times = fc.oneof(
  micros.map(({ ms, finer }) => {
    const all = BigInt(ms) * 1000n + BigInt(finer);
    const rest = ((all % 1_000_000n) + 1_000_000n) % 1_000_000n;
    return `${new Date(Number((all - rest) / 1000n)).toISOString().slice(0, 19).replace('T', ' ')}.${rest.toString().padStart(6, '0')}+00`;
  }),
  fc.constantFrom('infinity', '-infinity'),
);
const days = fc.oneof(
  fc.integer({ min: -719_162, max: 2_932_896 }).map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10)),
  fc.constantFrom('2001-06-15', '2001-06-16', '0001-01-01', '9999-12-31', 'infinity'),
);
const jsons = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom('null', ' null ', '{"a": 1}', '{"a": 1, "b": 2}', '["x"]', '{"x": 1}', '"null"'),
);

/** JSON of `\u0000` is none to jsonb. */
const storable = jsons.filter((text) => !/\\u0000|\\ud[89a-f]/i.test(text) && !/\p{Surrogate}/u.test(text));

const type = (
  postgres: string,
  duckdb: string,
  values: fc.Arbitrary<string>,
  schemas: fc.Arbitrary<Labelled>,
  sample: unknown,
): StoredType => ({
  postgres,
  duckdb,
  values: orNull(values),
  schemas: wrapped(schemas, sample),
});

/** For types that are not tried from Parquet. */
export const NOT_IN_DUCKDB = 'JSON';
const NO_UUID = '00000000-0000-0000-0000-000000000000';
const uuids = fc.oneof(fc.uuid(), fc.constantFrom('550e8400-e29b-41d4-a716-446655440000', '00000000-0000-0000-0000-000000000000'));
const localTimes = times.map((text) => text.replace('+00', ''));
const justText = some(['string()', () => z.string()], ['string().max(8)', () => z.string().max(8)], ['any()', () => z.any()]);

export const TEXT = type('text', 'VARCHAR', texts, strings, 'ab');
export const TYPES: readonly StoredType[] = [
  TEXT,
  TEXT,
  type('text', 'VARCHAR', fc.oneof(texts, ints, times), fc.oneof(integers, numbers, instants), null),
  type('integer', 'INTEGER', ints, fc.oneof(integers, numbers), 7),
  type('bigint', 'BIGINT', longs.map(String), fc.oneof(integers, numbers), 7),
  type(
    'double precision',
    'DOUBLE',
    doubles.map((value) => (Object.is(value, -0) ? '-0' : String(value))),
    fc.oneof(numbers, integers),
    0.5,
  ),
  type('numeric(20,4)', 'DECIMAL(20,4)', decimals, fc.oneof(numbers, integers, some(['string()', () => z.string()])), 0.5),
  type(
    'boolean',
    'BOOLEAN',
    fc.constantFrom('true', 'false'),
    some(['boolean()', () => z.boolean()], ['literal(true)', () => z.literal(true)]),
    false,
  ),
  type('timestamp with time zone', 'TIMESTAMP WITH TIME ZONE', times, instants, JUNE),
  type('timestamp without time zone', 'TIMESTAMP', localTimes, instants, JUNE),
  type('date', 'DATE', days, instants, new Date('2001-06-15')),
  type('uuid', 'UUID', uuids, some(['uuid()', () => z.uuid()], ['guid()', () => z.guid()], ['string()', () => z.string()]), NO_UUID),
  type('jsonb', 'JSON', storable, documents, null),
  // What DuckDB writes otherwise than PostgreSQL does, or has not.
  type('interval', NOT_IN_DUCKDB, fc.constantFrom('1 day', '-03:04:05', '2 years 3 mons', '00:00:00.5'), justText, '1 day'),
  type('bytea', NOT_IN_DUCKDB, fc.constantFrom('\\x', '\\x00ff', '\\x6162'), justText, '\\x61'),
  type('text[]', NOT_IN_DUCKDB, fc.constantFrom('{}', '{a,NULL,"b c"}', '{{a},{b}}', '{"{"}'), justText, '{a}'),
];

/** Tables of one to three columns of these types. */
export function tables(types: readonly StoredType[] = TYPES): fc.Arbitrary<Table> {
  const column = fc.constantFrom(...types).chain((each) => each.schemas.map((schema) => ({ type: each, schema })));
  return fc.array(column, { minLength: 1, maxLength: 3 }).chain((columns) =>
    fc.array(fc.tuple(...columns.map((each) => each.type.values)), { minLength: 1, maxLength: 16 }).map((rows) => {
      const table: Table = { types: columns.map((each) => each.type), schemas: columns.map((each) => each.schema), rows };
      const said = { columns: columns.map(({ type, schema }) => `${type.postgres}: ${schema.label}`), rows };
      return Object.assign(table, { [fc.toStringMethod]: () => JSON.stringify(said) });
    }),
  );
}

export const nameOf = (index: number): string => `c${index}`;

export function schemaOf(table: Pick<Table, 'schemas'>): RowSchema {
  return compileRowSchema(z.object(Object.fromEntries(table.schemas.map(({ zod }, index) => [nameOf(index), zod]))));
}

/** The column that is refused, or the row as zod makes it. */
export type Said = { readonly column: string } | { readonly row: Record<string, unknown> };

/**
 * What zod's own `safeParse` says of the values, each converted as its column's type wants it: the first column, in the order of the schema,
 * that cannot be converted or is refused. In text and typed rows null stands for missing where only that is allowed.
 */
export function zodSays(schema: RowSchema, values: Readonly<Record<string, unknown>>, from: ValueOrigin): Said {
  const shape = (schema.zod as unknown as ZodNode)._zod.def.shape ?? {};
  const converted: Record<string, unknown> = {};
  const refused = new Set<string>();
  // Numbers of a document that JavaScript would round are kept exactly; zod is asked of them as it would see them.
  const exact: Record<string, unknown> = {};
  for (const { name, optional, nullable } of schema.columns) {
    const apart = takeApart(name, shape[name] as ZodNode);
    let value = values[name];
    if (value === null && from !== 'json' && optional && !nullable) value = undefined;
    if (value !== null && value !== undefined && !apart.raw) {
      const made = conversion(from, apart.type)(value);
      if (!(made instanceof Refusal)) value = made;
      else if (!apart.catches) refused.add(name);
    }
    if (value === undefined) continue;
    const isDocument = apart.type === 'json' && apart.uncompiled === null;
    if (isDocument) exact[name] = value;
    converted[name] = isDocument ? JSON.parse(stringifyJsonExactly(value) ?? 'null') : roundExactNumbers(value);
  }
  const parsed = schema.zod.safeParse(converted);
  for (const issue of parsed.error?.issues ?? []) refused.add(String(issue.path[0]));
  const column = schema.columns.find(({ name }) => refused.has(name))?.name;
  return column === undefined ? { row: { ...parsed.data, ...exact } } : { column };
}

/** The rows of a table as DuckDB's SQL, with their number as `id`. */
export function parquetSelect({ types, rows }: Table): string {
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  const values = rows.map((row, id) => `(${[id, ...row.map((value) => (value === null ? 'NULL' : literal(value)))].join(', ')})`);
  const columns = types.map((type, index) => `v${index}::VARCHAR::${type.duckdb} AS ${nameOf(index)}`);
  return `SELECT id::INTEGER AS id, ${columns.join(', ')} FROM (VALUES ${values.join(', ')}) t(id, ${types.map((_, index) => `v${index}`).join(', ')}) ORDER BY id`;
}
