import { z } from 'zod';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowEncoder } from '../../../src/validation/copy-text.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { column, copyAll, parseCsv, planOf, readAll, requestFor, signal, sourceOf, withFolder } from './parquet-files.ts';

/** Text in CSV, and value in records, of one expression. */
async function both(expression: string, sqlType?: string): Promise<{ sqlType: string | null; text: unknown; value: unknown }> {
  let result: Awaited<ReturnType<typeof both>> | undefined;
  await withFolder(async ({ write }) => {
    const source = sourceOf(await write('a.parquet', `SELECT ${expression} AS v`));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const [described] = (await source.describe(signal)).columns;
    const request = { columns: [{ name: 'v', sqlType: sqlType ?? described?.sqlType ?? 'text' }], schema: [] };
    const { transfer } = await source.chooseTransfer(request);
    const [record] = await readAll(source, all, ['v']);
    let text: unknown = 'records';
    if (transfer === 'csv') {
      const copied = await copyAll(source, all, request);
      text = copied.rejected[0] ? copied.rejected[0].reason : parseCsv(copied.text)[0]?.[1];
    }
    result = { sqlType: described?.sqlType ?? null, text, value: record?.values?.v };
  });
  if (!result) throw new Error('nothing was read');
  return result;
}

const instant = (text: string) => new Date(text);

test.each([
  ['true', 'boolean', 'true', true],
  ['(-128)::TINYINT', 'smallint', '-128', -128],
  ['40000::USMALLINT', 'integer', '40000', 40_000],
  ['2147483647::INTEGER', 'integer', '2147483647', 2_147_483_647],
  ['9223372036854775807::BIGINT', 'bigint', '9223372036854775807', 9_223_372_036_854_775_807n],
  ['18446744073709551615::UBIGINT', 'numeric', '18446744073709551615', 18_446_744_073_709_551_615n],
  ['0.1::FLOAT', 'real', '0.1', Math.fround(0.1)],
  ['0.1::DOUBLE', 'double precision', '0.1', 0.1],
  ['5e-324::DOUBLE', 'double precision', '5e-324', 5e-324],
  [`'nan'::DOUBLE`, 'double precision', 'nan', Number.NaN],
  [`'-inf'::DOUBLE`, 'double precision', '-inf', Number.NEGATIVE_INFINITY],
  ['1234567890123456789.50::DECIMAL(38,2)', 'numeric(38,2)', '1234567890123456789.50', '1234567890123456789.50'],
  [`'a'`, 'text', 'a', 'a'],
  [`''`, 'text', '', ''],
  ['NULL::VARCHAR', 'text', null, null],
  [`E'a"b,c\\nd\\re\\\\.'`, 'text', 'a"b,c\nd\re\\.', 'a"b,c\nd\re\\.'],
  [`' NULL '`, 'text', ' NULL ', ' NULL '],
  [`'a' || chr(0)`, 'text', 'contains a NUL byte', 'a\0'],
  [`'4a3f6a1e-0000-4000-8000-00000000000a'::UUID`, 'uuid', '4a3f6a1e-0000-4000-8000-00000000000a', '4a3f6a1e-0000-4000-8000-00000000000a'],
  [`'\\x00\\xFF'::BLOB`, 'bytea', '\\x00ff', Buffer.from([0, 255])],
  [`DATE '2001-02-28'`, 'date', '2001-02-28', instant('2001-02-28')],
  [`DATE '12001-02-28'`, 'date', '12001-02-28', instant('+012001-02-28T00:00:00Z')],
  [`DATE '0044-03-15 (BC)'`, 'date', '0044-03-15 BC', instant('-000043-03-15T00:00:00Z')],
  [`DATE '4800-03-15 (BC)'`, 'date', 'out of range for date', instant('-004799-03-15T00:00:00Z')],
  [`DATE 'infinity'`, 'date', 'infinity', 'infinity'],
  [`TIMESTAMP '2001-02-28 01:02:03'`, 'timestamp without time zone', '2001-02-28 01:02:03', instant('2001-02-28T01:02:03Z')],
  [
    `TIMESTAMP '2001-02-28 01:02:03.5'::TIMESTAMP_MS`,
    'timestamp without time zone',
    '2001-02-28 01:02:03.5',
    instant('2001-02-28T01:02:03.5Z'),
  ],
  [`TIMESTAMP '-infinity'`, 'timestamp without time zone', '-infinity', '-infinity'],
  [`TIMESTAMPTZ '2001-02-28 01:02:03+02'`, 'timestamp with time zone', '2001-02-27 23:02:03+00', instant('2001-02-27T23:02:03Z')],
  [`TIME '01:02:03.000004'`, 'time without time zone', '01:02:03.000004', '01:02:03.000004'],
  ['[1, NULL, 3]::BIGINT[]', 'bigint[]', 'records', [1, null, 3]],
  [`{'a': 1.5::DOUBLE, 'b': ['x']}`, 'jsonb', 'records', { a: 1.5, b: ['x'] }],
  [`MAP {'k': 9007199254740993}`, 'jsonb', 'records', { k: 9_007_199_254_740_993n }],
])('%s arrives as it is', async (expression, sqlType, text, value) => {
  expect(await both(expression)).toEqual({ sqlType, text, value });
});

test.each([
  // A timestamp without a zone is UTC, whatever zone the session of PostgreSQL has.
  [`TIMESTAMP '2001-02-28 01:02:03.123456'`, 'timestamp with time zone', '2001-02-28 01:02:03.123456+00'],
  [`DATE '2001-02-28'`, 'timestamp with time zone', '2001-02-28 00:00:00+00'],
  [`TIMESTAMP 'infinity'`, 'timestamp with time zone', 'infinity'],
  [`TIMESTAMP '0044-03-15 (BC) 10:00:00'`, 'timestamp with time zone', '0044-03-15 10:00:00+00 BC'],
  ['32768::BIGINT', 'smallint', 'out of range for smallint'],
  ['-2147483649::BIGINT', 'integer', 'out of range for integer'],
  ['2147483647::BIGINT', 'integer', '2147483647'],
  ['1000::BIGINT', 'numeric(5,2)', 'out of range for numeric(5,2)'],
  ['999::BIGINT', 'numeric(5,2)', '999'],
  ['1.255::DECIMAL(9,3)', 'numeric(9,2)', 'records'],
  ['1e300::DOUBLE', 'real', 'out of range for real'],
  ['1e-60::DOUBLE', 'real', 'out of range for real'],
  ['0.1::FLOAT', 'double precision', '0.10000000149011612'],
  [`'héé😀'`, 'character varying(4)', 'héé😀'],
  // Blanks beyond the limit are cut off by PostgreSQL; nothing else is.
  [`'héé😀  '`, 'character varying(4)', 'héé😀  '],
  [`'héé😀 a'`, 'character varying(4)', 'longer than 4'],
  [`'a  '`, 'character(1)', 'a  '],
  ['1::DOUBLE', 'numeric', '1'],
  ['0.1::FLOAT', 'numeric', '0.10000000149011612'],
  ['1e16::DOUBLE', 'numeric', '1e+16'],
  [`'-inf'::DOUBLE`, 'numeric', '-inf'],
  ['1.5::DOUBLE', 'numeric(5,2)', 'records'],
  [`'1'`, 'integer', 'records'],
  ['1.5::DOUBLE', 'integer', 'records'],
])('%s into %s', async (expression, sqlType, text) => {
  expect((await both(expression, sqlType)).text).toBe(text);
});

test('microseconds come through records too', async () => {
  await withFolder(async ({ write }) => {
    const source = sourceOf(
      await write('a.parquet', `SELECT TIMESTAMP '1969-12-31 23:59:59.999999' AS v, DATE '2001-02-03' AS d, 1.50::DECIMAL(5,2) AS n`),
    );
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const [record] = await readAll(source, all, ['v', 'd', 'n']);
    expect(record?.values?.v).toEqual(new Date(-1));
    expect(record?.bytes().toString()).toBe('{"v":"1969-12-31T23:59:59.999999Z","d":"2001-02-03","n":"1.50"}');
  });
});

test('nested values go into a document as they are, judged by a schema or not', async () => {
  await withFolder(async ({ write }) => {
    const finer = `TIMESTAMP '2001-02-03 04:05:06.123456'`;
    const one = `{'at': ${finer}, 'day': DATE '2001-02-03', 'bytes': '\\x00\\xFF'::BLOB, 'x': 'nan'::DOUBLE, 'big': 9007199254740993}`;
    const source = sourceOf(await write('a.parquet', `SELECT ${one} AS one, [${one}] AS list, MAP {'k': ${finer}} AS map`));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const names = ['one', 'list', 'map'];
    const [record] = await readAll(source, all, names);
    const text = '{"at":"2001-02-03T04:05:06.123456Z","day":"2001-02-03","bytes":"\\\\x00ff","x":"NaN","big":9007199254740993}';
    const document = `{"one":${text},"list":[${text}],"map":{"k":"2001-02-03T04:05:06.123456Z"}}`;
    expect(record?.bytes().toString()).toBe(document);

    const encode = createRowEncoder(names.map((name) => ({ name, sqlType: 'jsonb', notNull: true })));
    const written = encode(record?.values ?? {});
    const unescaped = (line: string) => line.trimEnd().replaceAll('\\\\', '\\').split('\t');
    expect(written.ok && unescaped(written.line)).toEqual([text, `[${text}]`, '{"k":"2001-02-03T04:05:06.123456Z"}']);
    const fields = z.object({ at: z.date(), day: z.date(), bytes: z.instanceof(Uint8Array), x: z.nan(), big: z.bigint() });
    const schema = compileRowSchema(z.object({ one: fields, list: z.array(fields), map: z.record(z.string(), z.date()) }));
    const parsed = createRowParser(schema, 'typed')(record?.values ?? {});
    expect(parsed.ok && encode(parsed.row)).toEqual(written);
  });
});

test('a document keeps the digits that JavaScript would round', async () => {
  await withFolder(async ({ write }) => {
    const source = sourceOf(await write('a.parquet', `SELECT '{"n": 12345678901234567890, "x": 0.12345678901234567890}'::JSON AS v`));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const [record] = await readAll(source, all, ['v']);
    expect(record?.bytes().toString()).toBe('{"v":{"n":12345678901234567890,"x":0.12345678901234567890}}');
  });
});

test('files may differ in the case of their columns, which are one, as for DuckDB', async () => {
  await withFolder(async ({ path, write }) => {
    await write('1.parquet', `SELECT 1 AS "ID", DATE '2001-01-05' AS "At", 'a' AS "É"`);
    await write('2.parquet', `SELECT 2 AS id, DATE '2001-01-06' AS at, 'b' AS "é" UNION ALL SELECT 300, DATE '2001-02-07', 'c'`);
    const source = sourceOf(`${path}/*.parquet`);
    const request = await requestFor(source, [column('ID', 'int', { checks: [{ kind: 'max', value: 100, inclusive: true }] })]);
    const names = request.columns.map(({ name }) => name);
    expect(names).toEqual(['ID', 'At', 'É', 'é']);
    const months = await planOf(source, { by: 'date', unit: 'month', column: 'At' });
    expect(months.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['2001-01', 2],
      ['2001-02', 1],
    ]);
    const copied = [];
    const records = [];
    for (const month of months) {
      copied.push(await copyAll(source, month, request));
      records.push(...(await readAll(source, month, names)));
    }
    expect(copied.flatMap(({ text }) => parseCsv(text)).map((row) => row.slice(1))).toEqual([
      ['1', '2001-01-05', 'a', null],
      ['2', '2001-01-06', null, 'b'],
    ]);
    expect(copied[1]?.rejected.map(({ column: name, record }) => [name, record.toString()])).toEqual([
      ['ID', '{"ID":300,"At":"2001-02-07","é":"c"}'],
    ]);
    expect(records.map(({ values }) => values?.ID)).toEqual([1, 2, 300]);
    const totals = { partitions: months, columns: ['ID'], quarantined: async () => new Set<number>(), ends: [], window: null, signal };
    expect(await source.totals(totals)).toMatchObject({ rows: 3, sums: ['303'] });
    await expect(planOf(source, { by: 'date', unit: 'month', column: 'at' })).rejects.toMatchObject({ code: 'MissingColumn' });
  });
});

test('a column that the schema writes in another case is missing, as rows and as records', async () => {
  await withFolder(async ({ write }) => {
    const source = sourceOf(await write('a.parquet', `SELECT 'x' AS "ID", 1 AS n`));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const request = { columns: [{ name: 'n', sqlType: 'integer' }], schema: [column('id', 'int', { optional: true }), column('n', 'int')] };
    expect(await copyAll(source, all, request)).toMatchObject({ text: '0,1\n', rejected: [] });
  });
});

test('files may differ in their columns and types', async () => {
  await withFolder(async ({ path, write }) => {
    await write('1.parquet', 'SELECT 1::INTEGER AS id, 0.5::FLOAT AS x');
    await write('2.parquet', `SELECT 5000000000::BIGINT AS id, 0.1::DOUBLE AS x, 'new' AS note`);
    await write('3.parquet', `SELECT 'late' AS note, 3::INTEGER AS id`);
    const source = sourceOf(`${path}/*.parquet`);
    const request = await requestFor(source);
    expect(request.columns).toEqual([
      { name: 'id', sqlType: 'bigint' },
      { name: 'x', sqlType: 'double precision' },
      { name: 'note', sqlType: 'text' },
    ]);
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const copied = await copyAll(source, all, request);
    expect(parseCsv(copied.text).map((row) => row.slice(1))).toEqual([
      ['1', '0.5', null],
      ['5000000000', '0.1', 'new'],
      ['3', null, 'late'],
    ]);
    const schema = [column('id', 'int'), column('x', 'number', { optional: true }), column('note', 'string')];
    expect((await copyAll(source, all, { ...request, schema })).rejected.map(({ column: name, reason }) => [name, reason])).toEqual([
      ['note', 'missing'],
    ]);
    const records = await readAll(source, all, ['id', 'x', 'note']);
    expect(records.map(({ values }) => values)).toEqual([
      { id: 1, x: 0.5 },
      { id: 5_000_000_000n, x: 0.1, note: 'new' },
      { id: 3, note: 'late' },
    ]);

    const ranges = await planOf(source, { by: 'value', column: 'x' });
    expect(ranges.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['x=0.1', 1],
      ['x=0.5', 1],
      ['x is null', 1],
    ]);
    const ids = [];
    for (const range of ranges) ids.push((await readAll(source, range, ['id'])).map(({ values }) => values?.id));
    expect(ids).toEqual([[5_000_000_000n], [1], [3]]);
  });
});
