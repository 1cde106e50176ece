/** CSV files of any content, for any columns. */
import fc from 'fast-check';
import { z } from 'zod';
import type { CsvOptions } from '../../../src/connectors/csv/config.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import type { Case } from './both-ways.ts';

const NUMBERS = ['0', '7', '-7', '+7', '007', '-0', '1.5', '1.50', '.5', '5.', '1e3', '12345678901234567890', '2147483648', '32768'];
const MORE_NUMBERS = [
  '9007199254740993',
  '-9007199254740991',
  '0.1',
  '0.30000000000000004',
  '-0.0',
  '1e400',
  '0.0000001',
  '99999',
  '100.005',
];
const INSTANTS = [
  '2001-02-28',
  '2001-02-30',
  '2000-02-29',
  '0999-01-01',
  '2001-02-03 04:05:06',
  '2001-02-03T04:05:06Z',
  '2001-02-03T04:05:06.123Z',
  '2001-02-03T04:05:06.1234567',
  '2001-02-03 04:05:06.123456+05:30',
  '2001-02-03 23:05:06-0330',
  '2001-02-03 24:00:00',
  '2001-02-03 04:05',
  '2001-02-03 04:05:60',
  '2001-13-01',
  '2001-01-01T00:00:00+16',
];
const TEXTS = [
  'x',
  ' ',
  'Zürich',
  '😀😀😀',
  'say ""hi""',
  'a,b',
  'line\nline',
  'line\r\nline',
  '\\.',
  '\\',
  '\\N',
  'NA',
  'NULL',
  'a;b',
  "it's",
  'x'.repeat(12),
];
const WORDS = ['true', 'TRUE', 't', 'f', 'false', 'yes', 'no', '1', '0', 'y', 'on', 'maybe', 'sad', 'ok', 'so-so'];
const JSONS = ['{"a":1}', '{"a": 1.10}', '[1,2]', 'null', ' null ', '"text"', '{"a":1,"a":2}', '{', '"\\u0000"', '1e2', '-0'];
const UUIDS = [
  '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  '6BA7B8109DAD11D180B400C04FD430C8',
  '{6ba7b810-9dad-11d1-80b4-00c04fd430c8}',
  '6ba7b810',
];
const ALL = [...NUMBERS, ...MORE_NUMBERS, ...INSTANTS, ...TEXTS, ...WORDS, ...JSONS, ...UUIDS];

/** Types of staging columns, and schemas of values, with values that mean something to them. */
export const TYPES: readonly (readonly [sqlType: string, values: readonly string[]])[] = [
  ['text', ALL],
  ['character varying(10)', TEXTS],
  ['character(4)', TEXTS],
  ['smallint', [...NUMBERS, ...MORE_NUMBERS]],
  ['integer', [...NUMBERS, ...MORE_NUMBERS]],
  ['bigint', [...NUMBERS, ...MORE_NUMBERS]],
  ['numeric', [...NUMBERS, ...MORE_NUMBERS]],
  ['numeric(5,2)', [...NUMBERS, ...MORE_NUMBERS]],
  ['numeric(3,-2)', [...NUMBERS, ...MORE_NUMBERS]],
  ['real', [...NUMBERS, ...MORE_NUMBERS]],
  ['double precision', [...NUMBERS, ...MORE_NUMBERS]],
  ['boolean', WORDS],
  ['date', INSTANTS],
  ['timestamp with time zone', INSTANTS],
  ['timestamp(1) without time zone', INSTANTS],
  ['uuid', UUIDS],
  ['json', JSONS],
  ['jsonb', JSONS],
  ['bytea', ['\\x00ff', 'abc', '\\x0', 'a\\\\b']],
  ['integer[]', ['{1,2}', '{}', '1']],
  ['mood', WORDS],
  ['inet', ['192.168.1.5/24', '::1']],
];

export const SCHEMAS: readonly (readonly [schema: () => z.ZodType, values: readonly string[], types: readonly string[]])[] = [
  [() => z.string(), TEXTS, ['text', 'character varying(10)']],
  [() => z.string().min(2).max(6), TEXTS, ['text', 'character(4)']],
  [() => z.enum(['sad', 'ok', 'so-so', 'a,b', 'say "hi"']), [...WORDS, ...TEXTS], ['text', 'mood']],
  [() => z.string().regex(/^[a-z]+$/i), [...WORDS, ...TEXTS], ['text']],
  [() => z.email(), ['a@b.example', 'a@b', 'x'], ['text']],
  [() => z.uuid(), UUIDS, ['uuid', 'text']],
  [() => z.string().refine((text) => text !== 'x', 'is x'), TEXTS, ['text']],
  [
    () => z.int(),
    NUMBERS,
    ['smallint', 'integer', 'bigint', 'numeric', 'numeric(5,2)', 'numeric(3,-2)', 'double precision', 'real', 'text'],
  ],
  [() => z.int().min(-7).max(99998).multipleOf(7), NUMBERS, ['integer', 'bigint', 'text']],
  [() => z.number(), [...NUMBERS, ...MORE_NUMBERS], ['double precision', 'real', 'numeric', 'numeric(5,2)', 'integer', 'text']],
  [() => z.number().gte(0).lt(100), [...NUMBERS, ...MORE_NUMBERS], ['double precision', 'numeric(5,2)', 'numeric']],
  [() => z.bigint(), NUMBERS, ['numeric', 'bigint', 'text']],
  [() => z.bigint().min(1n).multipleOf(7n), NUMBERS, ['numeric', 'bigint', 'integer']],
  [() => z.literal([1, 7]), NUMBERS, ['integer']],
  [() => z.boolean(), WORDS, ['boolean', 'text']],
  [() => z.literal(true), WORDS, ['boolean']],
  [() => z.date(), INSTANTS, ['date', 'timestamp with time zone', 'timestamp(1) without time zone', 'text']],
  [() => z.date().min(new Date('2001-02-03T04:05:06.123Z')), INSTANTS, ['date', 'timestamp with time zone']],
  [() => z.iso.date(), INSTANTS, ['date', 'timestamp with time zone', 'text']],
  [() => z.iso.datetime(), INSTANTS, ['date', 'timestamp with time zone', 'timestamp(1) without time zone']],
  [() => z.iso.datetime({ local: true, offset: true }), INSTANTS, ['timestamp with time zone', 'text']],
  [() => z.json(), JSONS, ['json', 'jsonb']],
  [() => z.object({ a: z.number() }), JSONS, ['jsonb']],
  [() => z.string().trim().min(1), TEXTS, ['text']],
];

const WRAPPED: readonly ((schema: z.ZodType) => z.ZodType)[] = [(one) => one, (one) => one.nullable(), (one) => one.optional()];

export interface DrawnColumn {
  readonly sqlType: string;
  readonly values: readonly string[];
  readonly schema: z.ZodType | null;
  readonly notNull: boolean;
}

export const untyped: fc.Arbitrary<DrawnColumn> = fc
  .record({ type: fc.constantFrom(...TYPES), notNull: fc.boolean() })
  .map(({ type: [sqlType, values], notNull }) => ({ sqlType, values, schema: null, notNull }));
export const typed: fc.Arbitrary<DrawnColumn> = fc
  .record({ of: fc.constantFrom(...SCHEMAS), nth: fc.nat(), wrap: fc.constantFrom(...WRAPPED), notNull: fc.boolean() })
  .map(({ of: [schema, values, types], nth, wrap, notNull }) => ({
    sqlType: types[nth % types.length] ?? 'text',
    values,
    schema: wrap(schema()),
    notNull,
  }));

const DIALECTS: readonly Omit<CsvOptions, 'files'>[] = [
  {},
  {},
  { delimiter: ';', quote: "'" },
  { escape: '\\' },
  { nullText: 'NA' },
  { nullText: '\\N', delimiter: '\t' },
  { quote: null, delimiter: ';' },
];

/** A field of a record: one of the column's values, written in one of the ways that a file may have it. */
interface DrawnField {
  readonly value: number;
  readonly style: 'plain' | 'quoted' | 'empty' | 'null' | 'dirt';
}

const field: fc.Arbitrary<DrawnField> = fc.record({
  value: fc.nat(),
  style: fc.constantFrom('plain', 'plain', 'plain', 'plain', 'quoted', 'quoted', 'empty', 'null', 'dirt'),
});
const LINE_ENDS = ['\n', '\n', '\n', '\n', '\r\n', '\n\n', '\r\r\n', '\n\r\n'];
const DIRT = ['"', 'a"b', '"a"b', '\xff', '\0', '\r', '\x01', ',', '', '"x\ny"', `"${'x'.repeat(300)}`, 'y'.repeat(1100), '\\.'];

interface DrawnFile {
  readonly records: readonly (readonly DrawnField[])[];
  readonly lineEnds: readonly string[];
  readonly lastLineEnd: boolean;
  readonly shuffled: boolean;
  readonly without: boolean;
}

function fileOf(drawn: DrawnFile, columns: readonly DrawnColumn[], extra: boolean, options: Omit<CsvOptions, 'files'>): Buffer {
  const { delimiter = ',', quote = '"', escape: escapedBy = quote, nullText = '' } = options;
  const order = columns.map((_, index) => index);
  if (drawn.shuffled) order.reverse();
  if (drawn.without && order.length > 1) order.pop();
  const names = [...(extra ? ['extra'] : []), ...order.map((index) => `c${index}`)];
  let text = names.join(delimiter);
  const write = ({ value, style }: DrawnField, values: readonly string[]): string => {
    const chosen = values[value % values.length] ?? '';
    if (style === 'empty') return quote === null ? '' : quote + quote;
    if (style === 'null') return nullText;
    if (style === 'dirt') return DIRT[value % DIRT.length] ?? '';
    if (quote === null || (style === 'plain' && ![delimiter, quote, '\n'].some((special) => chosen.includes(special)))) return chosen;
    return quote + chosen.replaceAll(quote, escapedBy + quote) + quote;
  };
  for (const [nth, record] of drawn.records.entries()) {
    const fields = order.map((index) => write(record[index % record.length] as DrawnField, columns[index]?.values ?? []));
    if (extra) fields.unshift('e');
    text += (drawn.lineEnds[nth % drawn.lineEnds.length] ?? '\n') + fields.join(delimiter);
  }
  // Bytes that are no UTF-8 stay as they are.
  return Buffer.concat(
    [...(drawn.lastLineEnd ? `${text}\n` : text)].map((character) => (character === '\xff' ? Buffer.from([0xff]) : Buffer.from(character))),
  );
}

export const cases = (column: fc.Arbitrary<DrawnColumn>, isTyped: boolean): fc.Arbitrary<Case> =>
  fc
    .record({
      columns: fc.array(column, { minLength: 1, maxLength: 4 }),
      files: fc.array(
        fc.record({
          records: fc.array(fc.array(field, { minLength: 4, maxLength: 4 }), { maxLength: 25 }),
          lineEnds: fc.array(fc.constantFrom(...LINE_ENDS), { minLength: 1, maxLength: 3 }),
          lastLineEnd: fc.boolean(),
          shuffled: fc.boolean(),
          without: fc.constantFrom(false, false, false, true),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      options: fc.constantFrom(...DIALECTS),
      extra: fc.constantFrom(false, false, true),
      withPosition: fc.boolean(),
      maxRows: fc.constantFrom(1, 3, 1e9),
      maxBytes: fc.constantFrom(40, 1e9, 1e9),
      by: fc.constantFrom('none', 'none', 'file', 'value', 'date'),
    })
    .map(({ columns, files, options, extra, withPosition, maxRows, maxBytes, by }) => ({
      files: Object.fromEntries(files.map((file, index) => [`${index}.csv`, fileOf(file, columns, extra, options)])),
      options: { ...options, maxRecordBytes: 1024 },
      columns: columns.map(({ sqlType, notNull }, index) => ({
        name: `c${index}`,
        sqlType,
        notNull,
        enumLabels: sqlType === 'mood' ? ['sad', 'ok', 'so-so'] : null,
      })),
      schema: isTyped ? compileRowSchema(z.object(Object.fromEntries(columns.map(({ schema }, index) => [`c${index}`, schema])))) : null,
      withPosition,
      partitionBy: by === 'date' ? { by, unit: 'month', column: 'c0' } : by === 'value' ? { by, column: 'c0' } : { by: by as 'none' },
      maxRows,
      maxBytes,
    }));

/** Every value of a type, plain and in quotes, in a file of one column. */
export function everyValue(column: DrawnColumn): Case {
  const lines = column.values.flatMap((value) => [
    ...(/[",\n]/.test(value) ? [] : [value]),
    `"${value.replaceAll('""', '"').replaceAll('"', '""')}"`,
  ]);
  return {
    files: { 'a.csv': Buffer.from(['c0', ...lines, ''].join('\n')) },
    options: {},
    columns: [
      {
        name: 'c0',
        sqlType: column.sqlType,
        notNull: false,
        enumLabels: column.sqlType === 'mood' ? ['sad', 'ok', 'so-so'] : null,
      },
    ],
    schema: column.schema ? compileRowSchema(z.object({ c0: column.schema })) : null,
    withPosition: false,
    partitionBy: { by: 'none' },
    maxRows: 1e9,
    maxBytes: 1e9,
  };
}
