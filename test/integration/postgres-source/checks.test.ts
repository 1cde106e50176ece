/** The checks on binary rows give the verdict, the reason and the record that the row parser gives on the same rows as text. */
import type pg from 'pg';
import { z } from 'zod';
import type { Source, SourceRecord } from '../../../src/connectors/source.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { columnsOf, copyInto, readCopies, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
let client: pg.Client;
let source: Source;
let records: SourceRecord[];
beforeAll(async () => {
  server = await startSourceServer();
  await server.sql(`create type mood as enum ('sad', 'ok', 'müde'); create domain short as varchar(10);
    create table judged (id int primary key, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, vc short, c char(4), m mood, d date,
      ts timestamp, tz timestamptz, u uuid, j json, jb jsonb, by bytea, iv interval, ti time, ia int[], ta text[])`);
  await server.sql(`insert into judged values (3)`);
  await server.sql(`insert into judged values
    (1, true, 1, 1, 1, 1, 1, 1, 'abc', 'abc', 'abc', 'ok', '2001-02-03', '2001-02-03', '2001-02-03 00:00+00', gen_random_uuid(), '1', '1', 'x', '1 day', '01:02', '{1}', '{a}'),
    (2, false, -5, -5, -5, -5.5, -5.5, -5.50, '', '', '', 'sad', '0001-01-01', '0001-01-01', '0001-01-01', gen_random_uuid(), 'null', 'null', '', '0', '00:00', '{}', '{}'),
    (4, true, 0, 0, 9007199254740991, 0.1, 0.1, 0.10, 'äöü😀', 'äöü😀', 'äö', 'müde', '9999-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', null, ' null ', '{"a": null}', '\\x00ff', '-1 mon +1 day', '24:00', '{NULL,2}', '{"null",NULL,"a b"}'),
    (5, true, 7, 7, 9007199254740992, 'NaN', 'NaN', 'NaN', '12', '12', '12', 'ok', 'infinity', 'infinity', 'infinity', null, '"null"', '"null"', '', '1 year -2 mons', '12:00:00.000001', '{{1,2},{3,4}}', '{{"{",","}}'),
    (6, true, 10, 10, -9007199254740992, 'Infinity', '-Infinity', 'Infinity', '2001-02-03', '2001', 'true', 'ok', '-infinity', '-infinity', '-infinity', null, '[1,2]', '[1, 2]', '', '1:00', '12:00', '[5:6]={1,2}', '{""}'),
    (7, true, 9, 2147483647, 9223372036854775807, 1e20, 1e20, 12345678901234567890.5, 'null', 'x', 'x', 'ok', '0044-03-15 BC', '0044-03-15 BC', '0044-03-15 BC', null, '{}', '{}', '', '-1 year', '12:00', null, null),
    (8, true, 3, -2147483648, -9223372036854775808, 1e-7, 1.5e-7, -0.000001, E'a\\tb\\nc\\\\d"', 'y', 'y', 'ok', '10000-01-01', '12345-01-01', '12345-01-01', null, '9007199254740993', '9007199254740993', '', '00:00:00.5', '12:00', '{1}', '{"\\"","\\\\"}'),
    (9, true, 15, 100, 1000000000000, 16777216, 123456789012345680, 1e30, '-7', '5', '5', 'sad', '2001-03-01', '2001-03-01 00:00:00.0015', '2001-02-28 23:59:59.9995+00', null, 'true', 'true', '', '1 mon', '12:00', '{1}', '{x}'),
    (10, true, 15, 6, 6, 123456.7, 123456789012345.6, 1000000, '0', '0', '0', 'sad', '1600-02-29', '1600-02-29 12:00:00.000001', '1600-02-29 12:00:00.999999+00', null, 'false', 'false', '', '1 mon', '12:00', '{1}', '{x}'),
    (11, true, 15, 6, 6, 1234567, 1234567890123456, 0.0, '+3', '+3', '+3', 'sad', '1969-12-31', '1969-12-31 23:59:59.9999', '1969-12-31 23:59:59.9999+00', null, '1.50', '1.50', '', '1 mon', '12:00', '{1}', '{x}')`);
  await server.sql('create table passed (like judged)');
  client = await server.connect();
  source = server.source({ table: 'judged' });
  records = await readRecords(source, { columns: await columnsOf(source) });
});
afterAll(async () => {
  await server.requireNoLeaks();
  await server.stop();
});

const BEGIN_2001 = new Date('2001-01-01T00:00:00Z');
const SCHEMAS: Record<string, () => z.ZodType> = {
  string: () => z.string(),
  'string or null': () => z.string().nullable(),
  'string from 1 to 3': () => z.string().min(1).max(3),
  'string of 4': () => z.string().length(4).optional(),
  'one of': () => z.enum(['ok', 'abc', '1', 't', '1.5']).nullable(),
  'one of those in several bytes': () => z.enum(['müde', 'äöü😀', 'äö  ', 'null']).nullable(),
  int: () => z.int(),
  'int from -5 to 9': () => z.int().min(-5).lt(10).nullable(),
  number: () => z.number().nullable(),
  'number above 0.1': () => z.number().gt(0.1),
  'number from -5.5 to below 1000000': () => z.number().min(-5.5).lt(1_000_000).nullable(),
  'multiple of 0.1': () => z.number().multipleOf(0.1).nullable(),
  bigint: () => z.bigint().nullable(),
  'bigint to 10': () => z.bigint().max(10n),
  boolean: () => z.boolean(),
  'literal true': () => z.literal(true).nullable(),
  date: () => z.date().nullable(),
  'date in 2001': () => z.date().min(BEGIN_2001).max(new Date('2001-02-28T23:59:59.999Z')).nullable(),
  'date from 1600 to 1969': () => z.date().min(new Date('1600-02-29')).max(new Date('1969-12-31T23:59:59.999Z')).nullable(),
  'iso date': () => z.iso.date().nullable(),
  'iso datetime': () => z.iso.datetime().nullable(),
  json: () => z.json(),
  any: () => z.any(),
};
const COLUMNS = [
  'b',
  'i2',
  'i4',
  'i8',
  'f4',
  'f8',
  'n',
  't',
  'vc',
  'c',
  'm',
  'd',
  'ts',
  'tz',
  'u',
  'j',
  'jb',
  'by',
  'iv',
  'ti',
  'ia',
  'ta',
];

async function judge(shape: Record<string, z.ZodType>, maxRows = 100) {
  const columns = await columnsOf(source);
  const schema = compileRowSchema(z.object(shape));
  const { transfer } = await source.chooseTransfer({ columns, schema: schema.columns });
  if (transfer !== 'binary') return transfer;

  const parse = createRowParser(schema, 'text');
  const expected = records.flatMap((record) => {
    const parsed = parse(record.values ?? {});
    return parsed.ok
      ? []
      : [{ position: record.position, column: parsed.column, reason: parsed.reason, record: record.bytes().toString() }];
  });
  await client.query('truncate passed');
  const { rejected, rows } = await readCopies(source, 'binary', { columns, schema: schema.columns, maxRows }, copyInto(client, 'passed'));
  expect(rows).toBe(records.length);
  expect(rejected.map(({ record, ...rest }) => ({ ...rest, record: record.toString() }))).toEqual(expected);
  // The good ones arrive as they were.
  const { rows: good } = await client.query<{ id: number }>(
    'select id from judged join passed using (id) where not record_image_ne(judged, passed) order by id',
  );
  const bad = new Set(expected.map((row) => row.position + 1));
  expect(good.map((row) => row.id)).toEqual(records.map((record) => record.position + 1).filter((id) => !bad.has(id)));
  return transfer;
}

it.each(COLUMNS)('judges a column as the row parser judges it: %s', async (column) => {
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const transfer = await judge({ [column]: schema() });
    expect({ name, transfer }).toEqual({ name, transfer: expect.stringMatching(/^(binary|records)$/) });
  }
});

it('numbers the refused rows through the chunks', async () => {
  expect(await judge({ t: z.string().max(3), i4: z.int().min(0), b: z.literal(true) }, 4)).toBe('binary');
});

it('names the first column of the schema that is refused', async () => {
  expect(await judge({ t: z.string().max(3).nullable(), i4: z.int().min(0), b: z.boolean() })).toBe('binary');
});

it('looks at nothing where the types say all', async () => {
  const columns = [...(await columnsOf(source)).slice(0, 5), { name: 'vc', sqlType: 'text' }];
  const schema = compileRowSchema(z.object({ id: z.int(), i4: z.int().nullable(), t: z.string().nullable() })).columns;
  expect((await source.chooseTransfer({ columns, schema })).transfer).toBe('binary');
});

it.each<[string, Record<string, z.ZodType>]>([
  ['a refinement', { t: z.string().refine((value) => value !== 'x') }],
  ['a transform', { t: z.string().transform((value) => value.length) }],
  ['a text that is to be a date', { t: z.iso.date().nullable() }],
])('leaves to records: %s', async (_, shape) => {
  expect(await judge(shape)).toBe('records');
});

it('leaves to records what cannot go by binary COPY and has to be looked at', async () => {
  await server.sql('drop table if exists moods; create table moods (id int primary key, v mood[], t text)');
  const source = server.source({ table: 'moods' });
  const columns = await columnsOf(source);
  expect((await source.chooseTransfer({ columns, schema: compileRowSchema(z.object({ id: z.int().min(0) })).columns })).transfer).toBe(
    'records',
  );
  expect(
    (await source.chooseTransfer({ columns, schema: compileRowSchema(z.object({ id: z.int(), t: z.string().nullable() })).columns }))
      .transfer,
  ).toBe('text');
});
