/** Tables with a column of every common PostgreSQL type, and values at the edges of each. */
import { query } from './servers.ts';

/** Name, type, and SQL expressions: a usual value, the two ends of what the type can hold, and what is nearest to nothing. */
type TypeRow = readonly [name: string, type: string, usual: string, high: string, low: string, empty: string];

/** Types that every database knows under the same number. */
export const BUILT_IN: readonly TypeRow[] = [
  ['c_smallint', 'smallint', '7', '32767', '-32768', '0'],
  ['c_integer', 'integer', '7', '2147483647', '-2147483648', '0'],
  ['c_bigint', 'bigint', '9007199254740993', '9223372036854775807', '-9223372036854775808', '0'],
  ['c_numeric', 'numeric', '1.0', `'infinity'`, `'-infinity'`, `'NaN'`],
  ['c_numeric_long', 'numeric', '1.00', `repeat('9', 400)::numeric`, `('-0.' || repeat('0', 300) || '1')::numeric`, '0.000'],
  ['c_numeric_10_2', 'numeric(10,2)', '1.50', '99999999.99', '-99999999.99', `'NaN'`],
  ['c_real', 'real', '1.1', `'infinity'`, `'-infinity'`, `'NaN'`],
  ['c_double', 'double precision', '0.1', `'infinity'`, `'-infinity'`, `'NaN'`],
  ['c_double_2', 'double precision', '5e-324', '1.7976931348623157e308', '-1.7976931348623157e308', `'-0'::float8`],
  ['c_money', 'money', `'1234.56'`, `'92233720368547758.07'`, `'-92233720368547758.08'`, '0'],
  ['c_boolean', 'boolean', 'true', 'true', 'false', 'false'],
  ['c_text', 'text', `E'tab\\t line\\n return\\r back\\\\slash "quote" ''single'' \\\\N, \\\\.'`, `'😀 Ünïcode 漢字'`, `E'\\\\.'`, `''`],
  ['c_varchar', 'character varying(20)', `'usual'`, `'😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀'`, `'NULL'`, `''`],
  ['c_char', 'character(5)', `'abc'`, `'äöüß€'`, `'\\N'`, `''`],
  ['c_char_one', '"char"', `'x'`, `'~'`, `'!'`, `''`],
  ['c_name', 'name', `'a_name'`, `repeat('n', 63)`, `'_'`, `''`],
  ['c_bytea', 'bytea', `'\\x00ff5c0a'`, `'\\xdeadbeef'`, `'\\x5c7830'`, `''`],
  ['c_date', 'date', `'2001-02-28'`, `'infinity'`, `'-infinity'`, `'4714-11-24 BC'`],
  ['c_time', 'time without time zone', `'12:34:56.789012'`, `'24:00:00'`, `'00:00:00'`, `'00:00:00.000001'`],
  ['c_timetz', 'time with time zone', `'12:34:56.789012+05:30'`, `'24:00:00-15:59'`, `'00:00:00+15:59'`, `'00:00:00+00'`],
  ['c_timestamp', 'timestamp without time zone', `'2001-02-03 04:05:06.789012'`, `'infinity'`, `'-infinity'`, `'0044-03-15 12:00:00 BC'`],
  [
    'c_timestamptz',
    'timestamp with time zone',
    `'2001-02-03 04:05:06.789012+09'`,
    `'infinity'`,
    `'-infinity'`,
    `'294276-12-31 23:59:59.999999+00'`,
  ],
  [
    'c_timestamp_3',
    'timestamp(3) without time zone',
    `'2001-02-03 04:05:06.789'`,
    `'9999-12-31 23:59:59.999'`,
    `'0001-01-01'`,
    `'1969-12-31 23:59:59.999'`,
  ],
  ['c_interval', 'interval', `'1 year 2 mons -3 days 04:05:06.789'`, `'178000000 years'`, `'-178000000 years'`, `'0'`],
  [
    'c_uuid',
    'uuid',
    `'6ba7b810-9dad-11d1-80b4-00c04fd430c8'`,
    `'ffffffff-ffff-ffff-ffff-ffffffffffff'`,
    `'00000000-0000-0000-0000-000000000000'`,
    `'6BA7B810-9DAD-11D1-80B4-00C04FD430C9'`,
  ],
  ['c_json', 'json', `'{ "b": 1.0,  "a": [1, null], "b": "twice" }'`, `'"\\u0000\\ud800"'`, `' null '`, `'{}'`],
  ['c_jsonb', 'jsonb', `'{"a": {"b": [1.00, 12345678901234567890.1234567890, "é\\n"]}}'`, `'"text"'`, `'null'`, `'{}'`],
  ['c_xml', 'xml', `'<a b="c">d &amp; e</a>'`, `'<a/><b/>'`, `'text only'`, `''`],
  ['c_inet', 'inet', `'192.168.1.5/24'`, `'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'`, `'0.0.0.0/0'`, `'::'`],
  ['c_cidr', 'cidr', `'192.168.1.0/24'`, `'2001:db8::/32'`, `'0.0.0.0/0'`, `'::/0'`],
  ['c_macaddr', 'macaddr', `'08:00:2b:01:02:03'`, `'ff:ff:ff:ff:ff:ff'`, `'00:00:00:00:00:00'`, `'00:00:00:00:00:01'`],
  [
    'c_macaddr8',
    'macaddr8',
    `'08:00:2b:01:02:03:04:05'`,
    `'ff:ff:ff:ff:ff:ff:ff:ff'`,
    `'00:00:00:00:00:00:00:00'`,
    `'00:00:00:00:00:00:00:01'`,
  ],
  ['c_bit', 'bit(5)', `B'10101'`, `B'11111'`, `B'00000'`, `B'00001'`],
  ['c_varbit', 'bit varying(9)', `B'1010101'`, `B'111111111'`, `B'0'`, `B''`],
  ['c_tsvector', 'tsvector', `to_tsvector('simple', 'the cat''s cat')`, `'a:1A,2B b'`, `'''spa ce'':3'`, `''`],
  ['c_point', 'point', `'(1.1,-2.5)'`, `'(infinity,-infinity)'`, `'(-0,0)'`, `'(0,0)'`],
  ['c_line', 'line', `'{1,2,3}'`, `'{0,1,-1}'`, `'{-1,0,0.1}'`, `'{1,0,0}'`],
  ['c_lseg', 'lseg', `'[(0,0),(1,1)]'`, `'[(1e300,0),(1,1)]'`, `'[(-1,-1),(1,1)]'`, `'[(0,0),(0,0)]'`],
  ['c_box', 'box', `'(2,2),(1,1)'`, `'(1e300,1),(0,0)'`, `'(0,0),(-1,-1)'`, `'(0,0),(0,0)'`],
  ['c_path', 'path', `'[(0,0),(1,1),(2,0)]'`, `'((0,0),(1,1))'`, `'[(0,0)]'`, `'((0,0))'`],
  ['c_polygon', 'polygon', `'((0,0),(1,1),(2,0))'`, `'((1e300,0),(1,1))'`, `'((0,0))'`, `'((-1,-1))'`],
  ['c_circle', 'circle', `'<(1,2),3.5>'`, `'<(0,0),1e300>'`, `'<(-1,-1),0>'`, `'<(0,0),0>'`],
  ['c_oid', 'oid', '7', '4294967295', '0', '1'],
  ['c_pg_lsn', 'pg_lsn', `'16/B374D848'`, `'FFFFFFFF/FFFFFFFF'`, `'0/0'`, `'0/1'`],
  ['c_int4range', 'int4range', `'[1,10)'`, `'(,)'`, `'[-2147483648,0)'`, `'empty'`],
  ['c_numrange', 'numrange', `'(1.0,2.00]'`, `'(,)'`, `'[-1,)'`, `'empty'`],
  ['c_tstzrange', 'tstzrange', `'[2001-01-01 00:00+00, infinity]'`, `'(,)'`, `'(,2001-01-01 00:00+00)'`, `'empty'`],
  ['c_daterange', 'daterange', `'[2001-01-01,2001-02-01)'`, `'(,)'`, `'[-infinity,)'`, `'empty'`],
  ['c_int8multirange', 'int8multirange', `'{[1,3),[5,7)}'`, `'{(,)}'`, `'{[1,2)}'`, `'{}'`],
  ['c_integers', 'integer[]', `'{1,NULL,3}'`, `'{{1,2},{3,NULL}}'`, `'[0:1]={5,6}'`, `'{}'`],
  ['c_texts', 'text[]', `array['a,b', 'c"d', 'e\\f', '', 'NULL', null, ' ', '{}']`, `array[['a'],['😀']]`, `array[null::text]`, `'{}'`],
  ['c_numerics', 'numeric(6,2)[]', `'{1.00,NaN,NULL}'`, `'{9999.99}'`, `'{-9999.99}'`, `'{}'`],
  ['c_timestamptzs', 'timestamp with time zone[]', `'{"2001-02-03 04:05:06+00",infinity}'`, `'{NULL}'`, `'{-infinity}'`, `'{}'`],
  ['c_jsonbs', 'jsonb[]', `array['{"a":1}', 'null', null]::jsonb[]`, `array['"x"']::jsonb[]`, `array['[]']::jsonb[]`, `'{}'`],
  ['c_byteas', 'bytea[]', `array['\\x00', '\\x5c', null]::bytea[]`, `array['\\xff']::bytea[]`, `array['']::bytea[]`, `'{}'`],
  ['c_ranges', 'int4range[]', `'{"[1,2)",empty,NULL}'`, `'{"(,)"}'`, `'{empty}'`, `'{}'`],
  ['c_mood', 'mood', `'ok'`, `'very "happy", {yes}'`, `'sad'`, `''`],
  ['c_positive', 'positive', '7', '2147483647', '1', '2'],
  ['c_price', 'price', '7.5', '9999.99', '0.01', '0.00'],
];

/** Types whose binary format means nothing elsewhere (each database numbers its own types), or cannot be read again. */
export const OWN: readonly TypeRow[] = [
  ['c_tsquery', 'tsquery', `'fat & (rat | cat) & !dog'`, `'super:*'`, `'a <-> b'`, `''`],
  ['c_moods', 'mood[]', `array['ok', null, 'very "happy", {yes}']::mood[]`, `'{{sad},{ok}}'`, `'{sad}'`, `'{}'`],
  ['c_pair', 'pair', `row(1, 'a, "b" (c)')::pair`, `row(null, null)::pair`, `row(-1, '')::pair`, `row(0, ' ')::pair`],
  ['c_pairs', 'pair[]', `array[row(1, 'x'), null]::pair[]`, `array[row(null, '{"')]::pair[]`, `'{}'`, `'{}'`],
  ['c_positives', 'positive[]', `'{1,2,NULL}'`, `'{2147483647}'`, `'{1}'`, `'{}'`],
  ['c_floats', 'floats', `'[1.5,2.5)'`, `'(,)'`, `'[-infinity,0]'`, `'empty'`],
  ['c_regclass', 'regclass', `'pg_class'`, `'pg_type'`, `'pg_proc'`, `'pg_index'`],
];

/** Creates the types; `shift` more of them first, so that the numbers differ between databases. */
export async function createTypes(url: string, shift = 0): Promise<void> {
  const fillers = Array.from({ length: shift }, (_, index) => `create type filler_${index} as enum ('x')`);
  const types = [
    `create type mood as enum ('sad', 'ok', 'very "happy", {yes}', '')`,
    'create domain positive as integer check (value > 0)',
    'create domain price as numeric(6,2) not null check (value >= 0)',
    'create type pair as (a integer, b text)',
    'create type floats as range (subtype = float8)',
  ];
  await query(url, [...fillers, ...types].join('; '));
}

/** Creates a table of such columns with a key `id`. */
export async function createTable(url: string, table: string, types: readonly TypeRow[]): Promise<void> {
  await query(url, `create table ${table} (id integer primary key, ${types.map(([name, type]) => `${name} ${type}`).join(', ')})`);
}

/** Five rows: usual values, both ends, nearly nothing, and nulls. */
export async function fillTable(url: string, table: string, types: readonly TypeRow[]): Promise<void> {
  const row = (id: number, values: readonly string[]) => `(${[id, ...values].join(', ')})`;
  const rows = [2, 3, 4, 5].map((index) =>
    row(
      index - 1,
      types.map((type) => type[index] as string),
    ),
  );
  // The domain `price` is the one column that may not be null.
  rows.push(
    row(
      5,
      types.map(([name]) => (name === 'c_price' ? '0' : 'null')),
    ),
  );
  await query(url, `insert into ${table} values ${rows.join(', ')}`);
}

/** Every value of a table as its type writes it (a cast to text would trim `character(n)`), in the order of `id`. */
export async function valuesOf(url: string, table: string, order = 'id'): Promise<Record<string, string | null>[]> {
  const columns = await columnsOf(url, table);
  const shown = columns.map(({ quoted }) => `case when t.${quoted} is distinct from null then format('%s', t.${quoted}) end as ${quoted}`);
  return await query(url, `select ${shown.join(', ')} from ${table} t order by t.${order}`);
}

/** The columns of a table with their types as PostgreSQL writes them. */
export async function columnsOf(url: string, table: string): Promise<{ name: string; quoted: string; type: string }[]> {
  return await query(
    url,
    `select attname as name, quote_ident(attname) as quoted, format_type(atttypid, atttypmod) as type
     from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [table],
  );
}
