import { z } from 'zod';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { copyAll, planOf, readAll, sourceOf, withFolder } from './parquet-files.ts';

/** Values that stand at the edges of every type and check below. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  BIGINT: [
    '-121',
    '-120',
    '-1',
    '0',
    '1',
    '3',
    '10',
    '9007199254740991',
    '9007199254740992',
    '-9007199254740992',
    '4503599627370499',
    'NULL',
  ],
  INTEGER: ['-121', '-120', '0', '7', '10', '2147483647', 'NULL'],
  HUGEINT: ['0', '10', '170141183460469231731687303715884105727', '-9223372036854775809', '9223372036854775807', 'NULL'],
  DOUBLE: ['0.5', '-0.0', '3.0', '0.1', '0.30000000000000004', '1e300', `'nan'`, `'inf'`, `'-inf'`, '9007199254740992', 'NULL'],
  FLOAT: ['0.1', '3', `'nan'`, '3.4028235e38', 'NULL'],
  'DECIMAL(18,3)': ['0.1', '3', '999999999999999.999', '-120.001', 'NULL'],
  // Divided by its power of ten it would be another double than its text is.
  'DECIMAL(38,20)': ['1.66578805680617193472', '3', '123456789012345678'],
  VARCHAR: [`''`, `'a'`, `'abc'`, `'abcd'`, `'ab😀'`, `'e' || chr(769) || 'x'`, `'ABC'`, 'NULL'],
  BOOLEAN: ['true', 'false', 'NULL'],
  TIMESTAMP: [
    `'2001-01-01'`,
    `'2001-01-01 00:00:00.000001'`,
    `'2000-12-31 23:59:59.999999'`,
    `'2001-12-31 23:59:59.999'`,
    `'2001-12-31 23:59:59.9995'`,
    `'2002-01-01'`,
    `'1969-12-31 23:59:59.9995'`,
    `'0044-03-15 (BC)'`,
    `'290000-01-01'`,
    `'infinity'`,
    'NULL',
  ],
  'TIMESTAMP WITH TIME ZONE': [`'2001-01-01 00:00:00+00'`, `'2001-01-01 00:00:00+01'`, `'-infinity'`, 'NULL'],
  DATE: [`'2001-01-01'`, `'2000-12-31'`, `'10000-01-01'`, `'0044-03-15 (BC)'`, `'300000-01-01'`, `'5881580-07-10'`, `'infinity'`, 'NULL'],
};

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  int: z.int(),
  'int min': z.int().min(-120),
  'int gt 0': z.int().positive(),
  'int nullable max': z.int().max(10).nullable(),
  'int optional': z.int().optional(),
  'int multiple': z.int().multipleOf(3),
  int32: z.int32(),
  number: z.number(),
  'number range': z.number().gt(0).lt(1e6),
  'number multiple': z.number().multipleOf(0.1),
  float32: z.float32(),
  bigint: z.bigint(),
  'bigint range': z.bigint().min(0n).max(10n),
  int64: z.int64(),
  'one of numbers': z.literal([0, 3, 10]),
  'one of decimals': z.literal([Number('1.66578805680617193472'), 0.1]),
  string: z.string(),
  'string length': z.string().length(3),
  'string min max': z.string().min(1).max(3).nullable(),
  'string that starts': z.string().startsWith('a').nullable(),
  'string that ends': z.string().endsWith('😀'),
  'string with a quote': z.string().includes("'"),
  'string of three letters': z.string().regex(/^[a-z]{3}$/),
  'string of two units': z.string().regex(/^.{2}$/),
  uuid: z.uuid().optional(),
  enum: z.enum(['abc', 'it']),
  boolean: z.boolean(),
  true: z.literal(true),
  date: z.date(),
  'date range': z.date().min(new Date('2001-01-01T00:00:00Z')).max(new Date('2001-12-31T23:59:59.999Z')),
  'date epoch': z.date().max(new Date(-1)).nullable(),
  isoDate: z.iso.date(),
};

/** PostgreSQL types wide enough for what the schema lets pass, so that only the schema's verdict shows. */
const STAGING: Readonly<Record<string, string>> = {
  BIGINT: 'bigint',
  INTEGER: 'bigint',
  HUGEINT: 'numeric',
  DOUBLE: 'double precision',
  FLOAT: 'double precision',
  'DECIMAL(18,3)': 'numeric',
  'DECIMAL(38,20)': 'numeric',
  VARCHAR: 'text',
  BOOLEAN: 'boolean',
  TIMESTAMP: 'timestamp with time zone',
  'TIMESTAMP WITH TIME ZONE': 'timestamp with time zone',
  DATE: 'date',
};

const judgedInSql: string[] = [];

test.each(Object.keys(VALUES))('DuckDB says of every %s what the row parser says', async (type) => {
  await withFolder(async ({ write }) => {
    const values = (VALUES[type] ?? []).map((value, index) => `(${index}, (${value})::${type})`).join(', ');
    const source = sourceOf(await write('a.parquet', `SELECT v FROM (VALUES ${values}) t(i, v) ORDER BY i`));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    for (const [name, zod] of Object.entries(SCHEMAS)) {
      const rowSchema = compileRowSchema(z.object({ v: zod }));
      const parse = createRowParser(rowSchema, 'typed');
      const records = await readAll(source, all, ['v'], 100, [...rowSchema.columns]);
      const expected = records.flatMap((record) => {
        const parsed = parse(record.values ?? {});
        return parsed.ok
          ? []
          : [{ position: record.position, column: parsed.column, reason: parsed.reason, record: record.bytes().toString() }];
      });
      const request = { columns: [{ name: 'v', sqlType: STAGING[type] ?? 'text' }], schema: rowSchema.columns };
      if ((await source.chooseTransfer(request)).transfer !== 'csv') continue;
      judgedInSql.push(`${name} of ${type}`);
      const { rejected } = await copyAll(source, all, request);
      expect({ name, rejected: rejected.map((row) => ({ ...row, record: row.record.toString() })) }).toEqual({ name, rejected: expected });
    }
  });
});

test('the usual pairs are judged in SQL', () => {
  expect(judgedInSql).not.toContain('string of two units of VARCHAR');
  expect(judgedInSql).toEqual(
    expect.arrayContaining([
      'int min of BIGINT',
      'number range of DOUBLE',
      'number of DECIMAL(18,3)',
      'string length of VARCHAR',
      'string that starts of VARCHAR',
      'string of three letters of VARCHAR',
      'uuid of VARCHAR',
      'date range of TIMESTAMP',
      'isoDate of DATE',
    ]),
  );
});
