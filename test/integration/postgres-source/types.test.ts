/** Every common type arrives as it was: by binary COPY untouched, or as text. */
import { columnsOf, copyInto, readCopies, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer();
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  await server.requireNoLeaks();
});

const BINARY_COLUMNS = `
  id int primary key, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12,2), m money, t text, vc varchar(20),
  c char(5), nm name, q "char", by bytea, d date, ts timestamp, tz timestamptz, ti time, tiz timetz, iv interval, u uuid, j json, jb jsonb,
  x xml, ip inet, net cidr, mac macaddr, bits bit(4), vbits bit varying, p point, box box, tv tsvector, lsn pg_lsn, o oid,
  ia int[], ta text[], na numeric[], da timestamptz[], ja jsonb[], ir int4range, tr tstzrange, mr int8multirange, e mood, dom positive, ed glad`;

const ROWS = [
  '(1)',
  `(2, true, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN', 'NaN', -9999999999.99, '-12.34', '', '', '', '', 'x', '', '-infinity',
    'infinity', '-infinity', '24:00', '00:00+15:59', '-1 mon +2 days -03:04:05.678901', '00000000-0000-0000-0000-000000000000', ' null ', 'null',
    '<a>&amp;</a>', '::1', '10.0.0.0/8', '08:00:2b:01:02:03', '1010', '', '(1.5,-2)', '(2,2),(0,0)', 'a:1A fat:2,4', '16/B374D848', 4294967295,
    '{}', '{}', '{}', '{}', '{}', 'empty', 'empty', '{}', 'sad', 1, 'ok')`,
  `(3, false, 32767, 2147483647, 9223372036854775807, 'Infinity', '1.7976931348623157e308', '-Infinity', 0.00, '92233720368547758.07',
    E'tab\\t line\\n back\\\\ \\\\N "q" é \\U0001F600', '20 characters -----é', 'abc', 'name', '', '\\x00ff0a5c', '0044-03-15 BC',
    '294276-12-31 23:59:59.999999', '4713-01-01 00:00:00 BC', '00:00:00.000001', '23:59:59.999999-12', '178000000 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '{"b":1, "a":[1,2.50], "b":2}', '{"b":1.50,"a":"\\u00e9"}', '<b/>', '192.168.1.7/24', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', '0000', '101',
    '(NaN,1e300)', '(1,1),(0,0)', '''quoted'':3', '0/0', 0, '{1,NULL,-3}', '{"",NULL,"NULL","a,b","c\\"d\\\\e",{x}}', '{NaN,1.10,-0.001}',
    '{2001-02-03 04:05:06.7+00,NULL,infinity}', '{"{\\"a\\": 1}"}', '[1,5)', '[2001-01-01 00:00+00,)', '{[1,3),[5,9)}', 'so so, "really"', 5, 'sad')`,
  `(4, null, 0, 0, 0, '-0', '1e-300', 12345678901234567890.000000000000001, null, null, 'x', 'y', 'z', 'n', 'q', '\\x', '9999-12-31', '2001-02-03 04:05:06',
    '2001-02-03 04:05:06.7+05:30', '12:34', '12:34:56+00', '0', gen_random_uuid(), '[]', '[]', '<c/>', '0.0.0.0/0', '::/0', '00:00:00:00:00:00', '1111',
    '1', '(0,0)', '(0,0),(0,0)', '', 'FFFFFFFF/FFFFFFFF', 1, '{{1,2},{3,4}}', '[0:1]={a,b}', null, null, null, '(,5)', '(,)', '{(,)}', 'ok', null, null)`,
];

async function createTypes(): Promise<void> {
  await server.sql(`drop table if exists everything, copy_of_everything; drop domain if exists positive, glad; drop type if exists mood;
    create type mood as enum ('sad', 'ok', 'so so, "really"'); create domain positive as int check (value > 0); create domain glad as mood`);
  await server.sql(`create table everything (${BINARY_COLUMNS})`);
  for (const row of ROWS) await server.sql(`insert into everything values ${row.replace('{x}}', 'x}')}`);
  await server.sql('create table copy_of_everything (like everything)');
}

/** Rows that are in one table and not in the other, compared by their bytes. */
const DIFFERENCES = `select count(*)::int as rows from everything original full join copy_of_everything arrived using (id)
  where original.id is null or arrived.id is null or record_image_ne(original, arrived)`;

describe('a table of every common type', () => {
  beforeEach(createTypes);

  it.each(['binary', 'text'] as const)('arrives as it was by %s COPY', async (transfer) => {
    const source = server.source({ table: 'everything' });
    const columns = await columnsOf(source);
    expect((await source.chooseTransfer({ columns, schema: [] })).transfer).toBe('binary');
    const client = await server.connect();
    const { rows } = await readCopies(source, transfer, { columns, maxRows: 2 }, copyInto(client, 'copy_of_everything'));
    expect(rows).toBe(ROWS.length);
    expect(await server.sql(DIFFERENCES)).toEqual([{ rows: 0 }]);
  });

  it('gives records whose text is what the server writes', async () => {
    const source = server.source({ table: 'everything' });
    const columns = await columnsOf(source);
    const records = await readRecords(source, { columns, maxRows: 3 });
    expect(records.map((record) => record.position)).toEqual([0, 1, 2, 3]);
    const client = await server.connect();
    await client.query(`set timezone = 'UTC'`);
    for (const { name } of columns) {
      // format() uses the output function, as COPY does.
      const { rows } = await client.query<{ text: string | null }>(
        `select case when "${name}" is null then null else format('%s', "${name}") end as text from everything order by id`,
      );
      expect([name, records.map((record) => record.values?.[name])]).toEqual([name, rows.map((row) => row.text)]);
    }
    expect(JSON.parse(records[0]?.bytes().toString() ?? '')).toMatchObject({ id: '1', t: null });
  });
});

describe('what cannot go by binary COPY', () => {
  it.each([
    ['an array of an enum', `create type color as enum ('red', 'dark green')`, 'v color[]', `'{red,"dark green",NULL}'`],
    ['a composite', 'create type pair as (a int, b text)', 'v pair', `'(1,"x, y")'`],
    ['a range of one’s own', 'create type floats as range (subtype = float8)', 'v floats', `'[1.5,2.5)'`],
    ['a name of a table', '', 'v regclass', `'pg_class'`],
    ['a type without send and receive', '', 'v aclitem', `'postgres=r/postgres'`],
  ])('goes by text: %s', async (_, before, column, value) => {
    await server.sql(`drop table if exists odd, odd_copy; drop type if exists color, pair, floats; ${before}`);
    await server.sql(
      `create table odd (id int primary key, ${column}); insert into odd values (1, ${value}), (2, null); create table odd_copy (like odd)`,
    );
    const source = server.source({ table: 'odd' });
    const columns = await columnsOf(source);
    expect((await source.chooseTransfer({ columns, schema: [] })).transfer).toBe('text');
    const client = await server.connect();
    await readCopies(source, 'text', { columns }, copyInto(client, 'odd_copy'));
    expect(await server.sql('select id, v::text from odd_copy order by id')).toEqual(
      await server.sql('select id, v::text from odd order by id'),
    );
  });

  it('goes by text into another type, and is widened by the source where that is the same', async () => {
    await server.sql(`drop table if exists narrow; create table narrow (i2 int2 primary key, i4 int, i8 int8, vc varchar(5), d date);
      insert into narrow values (1, -2, 3, 'é', '2001-02-03'), (2, null, null, null, null)`);
    await server.sql(`drop table if exists wide; create table wide (i2 bigint, i4 numeric, i8 double precision, vc text, d date)`);
    await server.sql(`drop table if exists others; create table others (i2 text, i4 text, i8 text, vc char(9), d timestamp)`);
    const source = server.source({ table: 'narrow' });
    const names = ['i2', 'i4', 'i8', 'vc', 'd'];
    const wide = ['int8', 'numeric(10,0)', 'float8', 'text', 'date'].map((sqlType, index) => ({ name: names[index] ?? '', sqlType }));
    const others = ['text', 'text', 'text', 'char(9)', 'timestamp'].map((sqlType, index) => ({ name: names[index] ?? '', sqlType }));
    expect((await source.chooseTransfer({ columns: wide, schema: [] })).transfer).toBe('binary');
    expect((await source.chooseTransfer({ columns: others, schema: [] })).transfer).toBe('text');
    const client = await server.connect();
    await readCopies(source, 'binary', { columns: wide }, copyInto(client, 'wide'));
    await readCopies(source, 'text', { columns: others }, copyInto(client, 'others'));
    expect(
      await server.sql('select row(w.*)::text as w, row(o.*)::text as o from wide w join others o on w.i2::text = o.i2 order by w.i2'),
    ).toEqual([
      { w: '(1,-2,3,é,2001-02-03)', o: '(1,-2,3,"é        ","2001-02-03 00:00:00")' },
      { w: '(2,,,,)', o: '(2,,,,)' },
    ]);
  });

  it('reads generated columns, and no dropped ones', async () => {
    await server.sql(`drop table if exists made; create table made (id int primary key, gone text, double int generated always as (id * 2) stored);
      alter table made drop column gone; insert into made values (21)`);
    const source = server.source({ table: 'made' });
    const columns = await columnsOf(source);
    expect(columns.map(({ name }) => name)).toEqual(['id', 'double']);
    const [record] = await readRecords(source, { columns });
    expect(record?.values).toEqual({ id: '21', double: '42' });
  });
});
