/** Partitions cover every row exactly once, null and infinity included. */
import type { PartitionFilter, Partitioning } from '../../../src/connectors/source.ts';
import { day, keyRange, month, region, year } from '../../../src/pipeline/partition-by.ts';
import { columnsOf, plan, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer();
  await server.sql(`
    create table events (id int primary key, d date, ts timestamp, tz timestamptz, region text, size numeric);
    insert into events select g, date '2001-01-30' + g, timestamp '2001-01-30 23:00' + g * interval '7 hours',
      timestamptz '2001-01-31 23:30:00-01' + g * interval '11 hours', (array['north', 'south', 'null', '', 'O''Neil\\'])[1 + g % 5], g % 3
    from generate_series(0, 99) g;
    insert into events values (1000, null, null, null, null, null), (1001, 'infinity', 'infinity', '-infinity', 'north', 'NaN'),
      (1002, '0044-03-15 BC', '0044-03-15 12:00:00 BC', '12345-06-07 00:00:00+00', 'south', 1.0), (1003, '2001-02-01', '2001-02-01', '2001-02-01 00:00:00+00', 'x', 1.00)`);
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  await server.requireNoLeaks();
});

async function read(partitioning: Partitioning, maxRows = 7) {
  const source = server.source({ table: 'events' });
  const columns = await columnsOf(source);
  const partitions = await plan(source, { columns, partitioning });
  const records = await readRecords(source, { columns, partitioning, maxRows });
  return { partitions, ids: records.map((record) => Number(record.values?.id)).sort((a, b) => a - b) };
}

const EVERY_ID = [...Array.from({ length: 100 }, (_, index) => index), 1000, 1001, 1002, 1003];

it.each<[string, Partitioning]>([
  ['nothing', { by: 'none' }],
  ['days of a date', day('d')],
  ['months of a date', month('d')],
  ['years of a date', year('d')],
  ['days of a timestamp', day('ts')],
  ['months of a timestamp', month('ts')],
  ['days of a timestamptz', day('tz')],
  ['months of a timestamptz', month('tz')],
  ['years of a timestamptz', year('tz')],
  ['a text', region('region')],
  ['a number', region('size')],
  ['ranges of a key', keyRange('id', 10)],
  ['ranges of one row', keyRange('id', 1)],
  ['one range', keyRange('id', 1000)],
  ['ranges of a column with repeated values and null', keyRange('size', 5)],
  ['ranges of a date', keyRange('d', 9)],
])('partitions by %s cover each row once', async (_, partitioning) => {
  const { partitions, ids } = await read(partitioning);
  expect(ids).toEqual(EVERY_ID);
  expect(new Set(partitions.map((partition) => partition.name)).size).toBe(partitions.length);
  const expected = partitions.map((partition) => partition.rowsExpected);
  if (partitioning.by !== 'none') expect(expected.reduce<number>((sum, rows) => sum + (rows ?? Number.NaN), 0)).toBe(EVERY_ID.length);
});

it('makes months in UTC, only those with rows, with bounds as text', async () => {
  const { partitions } = await read(month('tz'));
  expect(partitions.map(({ name }) => name)).toEqual(['-infinity', '2001-02', '2001-03', '12345-06', 'null']);
  expect(partitions[1]?.filter).toEqual({ kind: 'between', column: 'tz', from: '2001-02-01 00:00:00+00', to: '2001-03-01 00:00:00+00' });
  expect(partitions.at(-1)?.filter).toEqual({ kind: 'equals', column: 'tz', value: null });
  const years = await read(year('d'));
  expect(years.partitions.map(({ name, filter }) => [name, filter])).toEqual([
    ['0044 BC', { kind: 'between', column: 'd', from: '0044-01-01 BC', to: '0043-01-01 BC' }],
    ['2001', { kind: 'between', column: 'd', from: '2001-01-01', to: '2002-01-01' }],
    ['infinity', { kind: 'equals', column: 'd', value: 'infinity' }],
    ['null', { kind: 'equals', column: 'd', value: null }],
  ]);
});

it('cuts the first and the last partition at the bounds that are given, and leaves null out', async () => {
  const { partitions, ids } = await read(month('d', { from: '2001-02-03', to: '2001-04-02T00:00:00Z' }));
  expect(partitions.map(({ name, filter }) => [name, filter.kind === 'between' ? [filter.from, filter.to] : filter.kind])).toEqual([
    ['2001-02', ['2001-02-03', '2001-03-01']],
    ['2001-03', ['2001-03-01', '2001-04-01']],
    ['2001-04', ['2001-04-01', '2001-04-02']],
  ]);
  const rows = await server.sql<{ id: number }>(`select id from events where d >= '2001-02-03' and d < '2001-04-02' order by id`);
  expect(ids).toEqual(rows.map((row) => row.id));
});

it('takes the values that are given, without asking for those that there are', async () => {
  const { partitions, ids } = await read(region('region', ['north', null, 'nowhere']));
  expect(partitions.map(({ name }) => name)).toEqual(['region=north', 'region=null', 'region=nowhere']);
  const rows = await server.sql<{ id: number }>(`select id from events where region = 'north' or region is null order by id`);
  expect(ids).toEqual(rows.map((row) => row.id));
});

it('leaves the ends of key ranges open, so that rows inserted later are in one of them', async () => {
  const { partitions } = await read(keyRange('id', 50));
  expect(partitions.map(({ name, filter }) => [name, filter])).toEqual([
    ['id before 50', { kind: 'between', column: 'id', from: null, to: '50' }],
    ['id from 50', { kind: 'between', column: 'id', from: '50', to: '1000' }],
    ['id from 1000', { kind: 'between', column: 'id', from: '1000', to: null }],
  ]);
});

it('plans 10,000 partitions', async () => {
  await server.sql('create table many (id int primary key); insert into many select generate_series(1, 20000)');
  const source = server.source({ table: 'many' });
  const partitions = await plan(source, { columns: [{ name: 'id', sqlType: 'integer' }], partitioning: keyRange('id', 2) });
  expect(partitions).toHaveLength(10_000);
});

it('gives a plan up when its reader stops', async () => {
  const source = server.source({ table: 'many' });
  for await (const _ of source.plan({
    partitioning: keyRange('id', 2),
    columns: ['id'],
    window: null,
    signal: new AbortController().signal,
  }))
    break;
});

it('has no partitions where there are no rows', async () => {
  await server.sql('create table nothing (id int primary key, d date, r text)');
  const source = server.source({ table: 'nothing' });
  const columns = await columnsOf(source);
  for (const partitioning of [month('d'), region('r'), keyRange('id', 5)])
    expect(await plan(source, { columns, partitioning })).toEqual([]);
});

it.each<[string, Partitioning, string]>([
  ['files', { by: 'file' }, 'has no files'],
  ['months of a text', month('region'), 'column "region" is text; partitions by month need a date or timestamp'],
  ['a column that is not there', region('land'), 'has no column "land". It has: id, d, ts, tz, region, size'],
])('refuses partitions by %s', async (_, partitioning, message) => {
  await expect(read(partitioning)).rejects.toMatchObject({ kind: 'permanent', message: expect.stringContaining(message) });
});

it('refuses a key with nulls, whose rows would be in no chunk', async () => {
  const source = server.source({ table: 'events', key: ['size', 'id'] });
  await expect(plan(source, { columns: await columnsOf(source) })).rejects.toMatchObject({ code: 'NullInKey' });
});

describe('ranges of a large table', () => {
  const ROWS = 1_300_000;
  beforeAll(async () => {
    await server.sql(
      'create table large (id int8 primary key, mixed uuid not null, size int, kind text) with (autovacuum_enabled = false)',
    );
    const insert = (from: number, to: number) =>
      `insert into large select g * 1000 + g % 7, md5(g::text)::uuid, case when g % 5 > 0 then g % 10 end, 'ümläut ' || left(md5(g::text), 2)
      from generate_series(${from}, ${to}) g`;
    await server.sql(insert(1, ROWS / 2));
    await server.sql('analyze large');
    // By the statistics it is not large.
    await server.sql(insert(ROWS / 2 + 1, ROWS));
  });

  const divide = async (partitioning: Partitioning) =>
    await plan(server.source({ table: 'large' }), { columns: [{ name: 'id', sqlType: 'bigint' }], partitioning });

  it.each([
    ['id', 250_000, 50_000],
    ['mixed', 250_000, 50_000],
    ['kind', 250_000, 50_000],
    // A value with 130,000 rows is not divided.
    ['size', 200_000, 130_000],
  ])('have about as many rows as asked for, and hold every row once: %s', async (column, size, more) => {
    const partitions = await divide(keyRange(column, size));
    const between = partitions.flatMap(({ filter }) => (filter.kind === 'between' ? [filter] : []));
    expect(between).toHaveLength(5);
    expect([between[0]?.from, between.at(-1)?.to]).toEqual([null, null]);
    expect(between.slice(1).map(({ from }) => from)).toEqual(between.slice(0, -1).map(({ to }) => to));

    const [{ counts = [] } = {}] = await server.sql<{ counts: number[] }>(
      `select array[${partitions.map(({ filter }) => `count(*) filter (where ${sqlOf(filter)})`).join(', ')}]::int[] as counts from large`,
    );
    expect(counts.reduce((sum, rows) => sum + rows, 0)).toBe(ROWS);
    const expected = partitions.map(({ rowsExpected }) => rowsExpected ?? Number.NaN);
    expect(Math.abs(expected.reduce((sum, rows) => sum + rows, 0) - ROWS)).toBeLessThan(ROWS / 20);
    for (const [index, rows] of counts.entries()) expect(Math.abs(rows - (expected[index] ?? 0))).toBeLessThanOrEqual(more);
  });

  it('cost a small part of what counting them costs', async () => {
    const started = performance.now();
    await divide(keyRange('id', 260_000));
    const sampled = performance.now() - started;
    // A quarter of the pages would not do for so many ranges.
    const counted = await divide(keyRange('id', 13_000));
    expect(counted.map(({ rowsExpected }) => rowsExpected)).toEqual(Array.from({ length: 100 }, () => 13_000));
    expect(sampled * 2).toBeLessThan(performance.now() - started - sampled);
  });

  it('are counted where a sample finds no rows any more', async () => {
    await server.sql('delete from large where id > 3100');
    expect((await divide(keyRange('id', 250_000))).map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([['id all', 3]]);
    await server.sql('delete from large');
    expect(await divide(keyRange('id', 250_000))).toEqual([]);
  });
});

function sqlOf(filter: PartitionFilter): string {
  if (filter.kind === 'equals') return `${filter.column} is null`;
  if (filter.kind !== 'between') throw new Error(`${filter.kind} is not a range`);
  const { column, from, to } = filter;
  return `${from === null ? `${column} is not null` : `${column} >= '${from}'`}${to === null ? '' : ` and ${column} < '${to}'`}`;
}
