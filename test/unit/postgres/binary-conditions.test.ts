/** The conditions on bytes are true only for values that the row parser takes, and for the common ones they are. */
import fc from 'fast-check';
import { z } from 'zod';
import { conditionOf } from '../../../src/connectors/postgres/binary-conditions.ts';
import { decoderNamed } from '../../../src/connectors/postgres/binary-values.ts';
import { shortNumeric } from '../../../src/connectors/postgres/short-numeric.ts';
import { TextSet } from '../../../src/connectors/postgres/text-set.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { compileFunction } from '../../../src/validation/row-shape.ts';

type Value = { readonly type: string; readonly bytes: Buffer };

function judges(type: string, check: z.ZodType) {
  const schema = compileRowSchema(z.object({ v: check }));
  const [column] = schema.columns;
  const condition = column ? conditionOf(type, column) : null;
  if (!condition) throw new Error(`there is no condition for ${type}`);
  const sure = compileFunction<(bytes: Buffer, start: number, size: number) => boolean>(
    { own: condition.own },
    `return (bytes, start, size) => { const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length); let value = 0, high = 0; return ${condition.text('own')}; };`,
  );
  const parse = createRowParser(schema, 'text');
  return {
    /** Somewhere between other bytes. */
    sure: ({ bytes }: Value) => sure(Buffer.concat([Buffer.from('abc'), bytes, Buffer.from('xyz')]), 3, bytes.length),
    passes: ({ bytes }: Value) => parse({ v: decoderNamed(type)?.(bytes, 0, bytes.length) ?? null }).ok,
  };
}

const written = (size: number, write: (bytes: Buffer) => void) => {
  const bytes = Buffer.alloc(size);
  write(bytes);
  return bytes;
};
const int4 = (value: number): Value => ({ type: 'int4', bytes: written(4, (bytes) => bytes.writeInt32BE(value)) });
const int8 = (value: bigint): Value => ({ type: 'int8', bytes: written(8, (bytes) => bytes.writeBigInt64BE(value)) });
const float8 = (value: number): Value => ({ type: 'float8', bytes: written(8, (bytes) => bytes.writeDoubleBE(value)) });
const text = (value: string): Value => ({ type: 'text', bytes: Buffer.from(value) });
const date = (days: number): Value => ({ ...int4(days), type: 'date' });
const timestamp = (microseconds: bigint): Value => ({ ...int8(microseconds), type: 'timestamptz' });

/** As `numeric_send` writes it: digits to the base of 10,000, without zeros at either end. */
function numeric(digits: bigint, scale: number): Value {
  const plain = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const whole = plain.slice(0, plain.length - scale);
  const fraction = plain.slice(plain.length - scale);
  const padded = whole.padStart(Math.ceil(whole.length / 4) * 4, '0') + fraction.padEnd(Math.ceil(scale / 4) * 4, '0');
  const groups = (padded.match(/.{4}/g) ?? []).map(Number);
  let weight = Math.ceil(whole.length / 4) - 1;
  while (groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.at(-1) === 0) groups.pop();
  return {
    type: 'numeric',
    bytes: written(8 + groups.length * 2, (bytes) => {
      bytes.writeUInt16BE(groups.length, 0);
      bytes.writeInt16BE(groups.length > 0 ? weight : 0, 2);
      bytes.writeUInt16BE(digits < 0n ? 0x4000 : 0, 4);
      bytes.writeUInt16BE(scale, 6);
      groups.forEach((group, index) => {
        bytes.writeUInt16BE(group, 8 + index * 2);
      });
    }),
  };
}

const DAY = 86_400_000_000n;
const FROM = new Date('2001-02-03T04:05:06.007Z');
const TO = new Date('2001-02-04T00:00:00Z');
const near = (instant: Date) => BigInt(instant.getTime() - Date.UTC(2000, 0, 1)) * 1000n;
const around = (...values: bigint[]) => fc.tuple(fc.constantFrom(...values), fc.bigInt(-1001n, 1001n)).map(([value, more]) => value + more);
const limits = fc.constantFrom(-1.5, -0.1, 0, 0.07, 0.1, 1, 99.99, 1e6, 123_456_789.01);

const shortWords = fc.constantFrom('ok', 'müde', 'mude', 'm\u00fcd', 'äöü😀', '', 'a'.repeat(40), '\ufffd');
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ unit: 'grapheme', maxLength: 5 }), shortWords);

const CASES: readonly (readonly [string, fc.Arbitrary<{ check: z.ZodType; value: Value }>])[] = [
  [
    'integers',
    fc.record({
      check: fc.constantFrom(z.int().min(-5).lt(10), z.int().gt(-0.5).max(7.5), z.number().gt(0), z.bigint().min(-2n).lt(5n), z.int32()),
      value: fc.integer({ min: -12, max: 12 }).map(int4),
    }),
  ],
  [
    'large integers',
    fc.record({
      check: fc.constantFrom(z.int(), z.int().min(0), z.number().max(1e18), z.bigint().min(0n), z.bigint().lte(2n ** 53n - 2n)),
      value: fc
        .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), around(0n, 2n ** 32n, 2n ** 53n, -(2n ** 53n), 10n ** 18n))
        .map(int8),
    }),
  ],
  [
    'doubles',
    fc.record({
      check: limits.chain((limit) => fc.constantFrom(z.number(), z.number().min(limit), z.number().gt(limit), z.number().lt(limit))),
      value: fc.oneof(fc.double(), limits, fc.constantFrom(-0, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE)).map(float8),
    }),
  ],
  [
    'numerics',
    fc.record({
      check: limits.chain((limit) =>
        fc.constantFrom(z.number(), z.number().min(limit), z.number().gt(limit), z.number().max(limit), z.number().lt(limit)),
      ),
      value: fc
        .tuple(fc.oneof(fc.bigInt(-(10n ** 22n), 10n ** 22n), fc.bigInt(-2000n, 20_000n), around(12_345_678_901n)), fc.nat(24))
        .map(([digits, scale]) => numeric(digits, scale)),
    }),
  ],
  [
    'texts',
    fc.record({
      check: fc.constantFrom(
        z.string().min(1).max(3),
        z.string().length(4),
        z.string().max(0),
        z.string().min(3),
        z.enum(['ok', 'müde', 'äöü😀', '']),
        z.enum(['\ud800', 'ok']),
      ),
      value: anyText.map(text),
    }),
  ],
  [
    'dates',
    fc.record({
      check: fc.constantFrom(z.date(), z.date().min(FROM), z.date().max(FROM), z.date().min(TO).max(TO), z.date().min(new Date(8.64e15))),
      value: fc
        .oneof(
          around(near(FROM) / DAY, near(TO) / DAY, -730_119n, 2_921_939n).map(Number),
          fc.constantFrom(0x7fffffff, -0x80000000),
          fc.integer(),
        )
        .map(date),
    }),
  ],
  [
    'timestamps',
    fc.record({
      check: fc.constantFrom(
        z.date(),
        z.date().min(FROM),
        z.date().max(FROM),
        z.date().min(TO).max(TO),
        z.date().max(new Date(-8.64e15)),
        z.date().min(new Date(2 ** 53 / 1000 + 946_684_800_000)),
      ),
      value: fc
        .oneof(
          around(near(FROM), near(TO), 0n, 2n ** 53n, -(2n ** 53n)),
          fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
          fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n)),
        )
        .map(timestamp),
    }),
  ],
];

it.each(CASES)('takes only what the row parser takes: %s', (_, cases) => {
  let sure = 0;
  fc.assert(
    fc.property(cases, ({ check, value }) => {
      const judge = judges(value.type, check);
      if (!judge.sure(value)) return;
      sure++;
      expect(judge.passes(value)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  // Otherwise it would prove nothing.
  expect(sure).toBeGreaterThan(100);
});

it.each<[string, z.ZodType, Value[]]>([
  ['int4', z.int().min(0).max(10), [0, 10].map(int4)],
  ['int8', z.int().positive(), [1n, 2n ** 32n + 5n, 2n ** 53n - 1n].map(int8)],
  ['numeric', z.number().min(0).max(1_000_000), [numeric(0n, 2), numeric(1n, 2), numeric(100_000_000n, 2), numeric(99_999_999n, 2)]],
  ['text', z.string().min(3).max(20), ['123456789', 'x'.repeat(20)].map(text)],
  ['text', z.enum(['ok', 'müde']), ['ok', 'müde'].map(text)],
  ['date', z.date().min(TO), [date(Number(near(TO) / DAY))]],
  ['timestamptz', z.date().min(FROM).max(FROM), [timestamp(near(FROM)), timestamp(near(FROM) + 999n)]],
])('is sure of the common ones: %s', (type, check, values) => {
  for (const value of values) expect(judges(type, check).sure(value)).toBe(true);
});

it('reads short numerics as JavaScript reads their text', () => {
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 11n), 10n ** 11n), fc.nat(12), (digits, scale) => {
      const { bytes } = numeric(digits, scale);
      const expected = Number(decoderNamed('numeric')?.(bytes, 0, bytes.length));
      expect(shortNumeric(new DataView(bytes.buffer, bytes.byteOffset), 0) + 0).toBe(expected + 0);
    }),
    { numRuns: 2_000 },
  );
});

it('has the texts of a large set and no others', () => {
  const words = Array.from({ length: 1_000 }, (_, index) => `wörd ${index * 7}`);
  const set = new TextSet([...words, ...words]);
  const has = (word: string) => set.has(Buffer.from(word), 0, Buffer.byteLength(word));
  expect(words.every(has)).toBe(true);
  expect(['', 'wörd', 'wörd 1', 'word 7', 'wörd 70000'].some(has)).toBe(false);
  expect(new TextSet([]).has(Buffer.from('x'), 0, 1)).toBe(false);
});
