/** Values as COPY text, and what PostgreSQL's types would refuse. Each verdict here was compared with PostgreSQL 18. */

import fc from 'fast-check';
import { createRowEncoder, type EncodableColumn } from '../../../src/validation/copy-text.ts';
import { ExactNumber } from '../../../src/validation/exact-number.ts';
import { CalendarDay, parseInstant } from '../../../src/validation/instants.ts';

function encode(sqlType: string, value: unknown, options: Partial<EncodableColumn> = {}): string {
  const encoded = createRowEncoder([{ name: 'c', sqlType, notNull: false, ...options }])({ c: value });
  return encoded.ok ? encoded.line.slice(0, -1) : `refused: ${encoded.reason}`;
}

test.each<[string, unknown, string]>([
  ['text', 'a\tb\nc\rd\\e', 'a\\tb\\nc\\rd\\\\e'],
  ['text', '\\N', '\\\\N'],
  ['text', '', ''],
  ['text', null, '\\N'],
  ['text', undefined, '\\N'],
  ['text', 'a\0b', 'refused: contains a NUL byte'],
  ['text', '\ud83d', 'refused: contains half of a surrogate pair'],
  ['text', '😀', '😀'],
  ['text', 5, '5'],
  ['text', true, 'true'],
  ['smallint', '32767', '32767'],
  ['smallint', 32768, 'refused: out of range for smallint'],
  ['integer', ' -2147483648 ', ' -2147483648 '],
  ['integer', '2147483648', 'refused: out of range for integer'],
  ['integer', '1.0', 'refused: expected an integer'],
  ['integer', 1.5, 'refused: expected an integer'],
  ['integer', '', 'refused: expected an integer'],
  ['integer', 'abc', 'refused: expected an integer'],
  ['bigint', '9223372036854775807', '9223372036854775807'],
  ['bigint', '9223372036854775808', 'refused: out of range for bigint'],
  ['bigint', 2n ** 63n, 'refused: out of range for bigint'],
  ['bigint', 2 ** 62, '4611686018427387904'],
  ['bigint', 1e19, 'refused: out of range for bigint'],
  ['numeric', '123456789012345678901234567890.5', '123456789012345678901234567890.5'],
  ['numeric', 'Infinity', 'Infinity'],
  ['numeric', new ExactNumber('0.12345678901234567890'), '0.12345678901234567890'],
  ['numeric', '1e131072', 'refused: out of range for numeric'],
  ['numeric', '1,5', 'refused: expected a number'],
  ['numeric(5,2)', '999.994', '999.994'],
  ['numeric(5,2)', '999.995', 'refused: out of range for numeric(5,2)'],
  ['numeric(5,2)', '-1000', 'refused: out of range for numeric(5,2)'],
  ['numeric(5,2)', '1e-9', '1e-9'],
  ['numeric(5,2)', 'NaN', 'NaN'],
  ['numeric(5,2)', 'inf', 'refused: out of range for numeric(5,2)'],
  ['numeric(2,4)', '0.0099', '0.0099'],
  ['numeric(2,4)', '0.00995', 'refused: out of range for numeric(2,4)'],
  ['numeric(2,-3)', '99499', '99499'],
  ['numeric(2,-3)', '99500', 'refused: out of range for numeric(2,-3)'],
  ['double precision', '1e308', '1e308'],
  ['double precision', '1e309', 'refused: out of range for double precision'],
  ['double precision', '1e-400', 'refused: out of range for double precision'],
  ['double precision', Number.NaN, 'NaN'],
  ['double precision', Number.NEGATIVE_INFINITY, '-Infinity'],
  ['double precision', 'n/a', 'refused: expected a number'],
  ['real', '1e39', 'refused: out of range for real'],
  ['real', '1e-46', 'refused: out of range for real'],
  ['character varying(3)', 'abcd', 'refused: longer than 3'],
  ['character varying(3)', '😀😀😀', '😀😀😀'],
  ['character varying(3)', 'abc  ', 'abc  '],
  ['character(2)', 'abc', 'refused: longer than 2'],
  ['character varying', 'abcd', 'abcd'],
  ['double precision', '-nan', '-nan'],
  ['numeric', '1e-16384', 'refused: out of range for numeric'],
  ['timestamp with time zone', '2001-02-28 10:00:00+16', 'refused: not a date that exists'],
  ['timestamp with time zone', '2001-02-28 10:00:00-15:59', '2001-02-28 10:00:00-15:59'],
  ['boolean', true, 't'],
  ['boolean', 'YES', 'YES'],
  ['boolean', 'maybe', 'refused: expected true or false'],
  ['boolean', 2, 'refused: expected true or false'],
  ['date', '2001-02-28', '2001-02-28'],
  ['date', '2001-02-30', 'refused: not a date that exists'],
  ['date', '0000-01-01', 'refused: not a date that exists'],
  ['date', '2001-02-28 10:00:00', '2001-02-28 10:00:00'],
  ['date', '', 'refused: expected a date'],
  ['date', 'soon', 'refused: expected a date'],
  ['date', 'Jan 5 2001', 'Jan 5 2001'],
  ['date', '5874898-01-01', 'refused: out of range for date'],
  ['date', new Date('2001-02-03T04:05:06Z'), '2001-02-03'],
  ['timestamp with time zone', new Date('2001-02-03T04:05:06.789Z'), '2001-02-03 04:05:06.789+00'],
  ['timestamp with time zone', new Date('-000044-03-15T00:00:00Z'), '0045-03-15 00:00:00.000+00 BC'],
  ['timestamp with time zone', new Date(8.64e15), '275760-09-13 00:00:00.000+00'],
  ['timestamp with time zone', new Date(-8.64e15), 'refused: out of range for timestamp'],
  ['timestamp with time zone', new Date(Number.NaN), 'refused: not a date that exists'],
  ['timestamp(3) without time zone', '2001-02-28 25:00:00', 'refused: not a date that exists'],
  ['timestamp without time zone', '2001-02-28 24:00:00', '2001-02-28 24:00:00'],
  ['timestamp without time zone', '294277-01-01', 'refused: out of range for timestamp'],
  ['timestamp without time zone', 'infinity', 'infinity'],
  ['uuid', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'],
  ['uuid', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  ['uuid', 'a0eebc99', 'refused: expected a uuid'],
  [
    'jsonb',
    { a: 1, b: 9007199254740993n, c: new ExactNumber('0.12345678901234567890') },
    '{"a":1,"b":9007199254740993,"c":0.12345678901234567890}',
  ],
  // As PostgreSQL's to_jsonb writes what JSON has no value for.
  [
    'jsonb',
    {
      at: parseInstant('2001-02-03 04:05:06.123456Z'),
      day: new CalendarDay('2001-02-03'),
      b: Buffer.from([0, 255]),
      x: [Number.NaN, -1 / 0],
    },
    '{"at":"2001-02-03T04:05:06.123456Z","day":"2001-02-03","b":"\\\\\\\\x00ff","x":["NaN","-Infinity"]}',
  ],
  ['jsonb', 'text', '"text"'],
  ['jsonb', ['a\nb'], '["a\\\\nb"]'],
  ['jsonb', { a: '\0' }, 'refused: contains a NUL byte'],
  ['json', { a: '\0' }, '{"a":"\\\\u0000"}'],
  ['jsonb', { a: '\\u0000' }, '{"a":"\\\\\\\\u0000"}'],
  ['jsonb', { a: '\ud800' }, 'refused: contains half of a surrogate pair'],
  ['jsonb', () => 1, 'refused: expected a value that can be stored'],
  ['bytea', Buffer.from([0, 255]), '\\\\x00ff'],
  ['bytea', '\\x0g', 'refused: expected bytes'],
  ['bytea', 'a\\\\b\\001', 'a\\\\\\\\b\\\\001'],
  ['bytea', 'a\\b', 'refused: expected bytes'],
  ['integer[]', [1, null, '3'], '{"1",NULL,"3"}'],
  [
    'integer[]',
    [
      [1, 2],
      [3, 4],
    ],
    '{{"1","2"},{"3","4"}}',
  ],
  ['integer[]', [[1, 2], [3]], 'refused: the arrays in the array differ in length'],
  ['integer[]', [[1], 2], 'refused: the arrays in the array differ in length'],
  ['integer[]', [], '{}'],
  ['integer[]', [[], []], '{}'],
  ['integer[]', ['x'], 'refused: expected an integer'],
  ['integer[]', '{1,2}', '{1,2}'],
  ['integer[]', '1,2', 'refused: expected an array'],
  ['text[]', ['a"b\\c', 'NULL', ''], '{"a\\\\"b\\\\\\\\c","NULL",""}'],
  ['character varying(2)[]', ['abc'], 'refused: longer than 2'],
  ['int4range', '[1,5)', '[1,5)'],
  ['public.domain', { a: 1 }, '{"a":1}'],
])('%s (%#)', (sqlType, value, wanted) => {
  expect(encode(sqlType, value)).toBe(wanted);
});

test('enums by their labels', () => {
  expect(encode('mood', 'sad', { enumLabels: ['sad', 'happy'] })).toBe('sad');
  expect(encode('mood', 'angry', { enumLabels: ['sad', 'happy'] })).toBe('refused: not one of sad, happy');
  expect(encode('mood[]', ['sad', 'angry'], { enumLabels: ['sad', 'happy'] })).toBe('refused: not one of sad, happy');
});

test('strings that are JSON text already', () => {
  expect(encode('jsonb', '{"a": 1}', { jsonText: true })).toBe('{"a": 1}');
  expect(encode('jsonb', 'null', { jsonText: true })).toBe('null');
  expect(encode('jsonb', '{', { jsonText: true })).toBe('refused: not valid JSON');
  expect(encode('jsonb', '"\\u0000"', { jsonText: true })).toBe('refused: contains a NUL byte');
});

test('null and missing where the column is not null', () => {
  expect(encode('text', null, { notNull: true })).toBe('refused: null is not allowed');
  expect(encode('text', undefined, { notNull: true })).toBe('refused: missing');
});

test('a timestamp keeps its microseconds for as long as its Date is not changed', () => {
  const date = parseInstant('2001-02-03 04:05:06.123456+01') as Date;
  expect(encode('timestamp with time zone', date)).toBe('2001-02-03 03:05:06.123456+00');
  date.setUTCFullYear(2002);
  expect(encode('timestamp with time zone', date)).toBe('2002-02-03 03:05:06.123+00');
});

test('columns in their order', () => {
  const encoder = createRowEncoder([
    { name: 'b', sqlType: 'text', notNull: false },
    { name: 'a', sqlType: 'integer', notNull: true },
    { name: 'toString', sqlType: 'text', notNull: false },
  ]);
  expect(encoder({ a: 1, b: 'x', other: 2 })).toEqual({ ok: true, line: 'x\t1\t\\N\n' });
});

test('a number is judged and written as its text is', () => {
  const type = fc.oneof(
    fc
      .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: -5, max: 22 }))
      .map(([precision, scale]) => `numeric(${precision},${scale})`),
    fc.constantFrom('numeric', 'real', 'double precision'),
  );
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc
      .tuple(fc.integer({ min: -1_000, max: 1_000 }), fc.integer({ min: -6, max: 20 }))
      .map(([digits, power]) => Number(`${digits}e${power}`)),
  );
  fc.assert(
    fc.property(type, number, (sqlType, value) => {
      const encode = createRowEncoder([{ name: 'c', sqlType, notNull: true }]);
      // Only floats have a negative zero.
      const text = Object.is(value, -0) && !sqlType.startsWith('numeric') ? '-0' : String(value);
      expect(encode({ c: value })).toEqual(encode({ c: text }));
    }),
    { numRuns: 3_000 },
  );
});
