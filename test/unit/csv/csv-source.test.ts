/** CSV files as a source: what it says of itself, how it is divided, what it does when files change. */
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import type { ChunkEnd, CopyChunk, Source } from '../../../src/connectors/source.ts';
import { plan, readAll, signal, withFiles } from './record-files.ts';

const open = (files: string): Source => createCsvSource(csvConfig.parse(csv({ files })));

test('it describes the columns of all files', async () => {
  await withFiles({ 'a.csv': 'id,name\n1,x\n', 'b.csv': 'id,extra\n2,y\n' }, async (folder) => {
    const described = await open(join(folder, '*.csv')).describe(signal);
    expect(described.columns.map((column) => column.name)).toEqual(['id', 'name', 'extra']);
    expect(described.label).toContain('(2 files)');
    expect(described.key).toEqual([]);
  });
});

test('a column that a file does not have is missing from its records', async () => {
  await withFiles({ 'a.csv': 'id,name\n1,x\n', 'b.csv': 'id\n2\n' }, async (folder) => {
    const source = open(join(folder, '*.csv'));
    const partitions = await plan(source, { by: 'file' });
    expect(partitions.map((partition) => partition.name)).toEqual(['a.csv', 'b.csv']);
    const read = await Promise.all(partitions.map((partition) => readAll(source, partition)));
    expect(read.flat().map((record) => record.values)).toEqual([{ id: '1', name: 'x' }, { id: '2' }]);
  });
});

test('files of the same name are told apart by their folders', async () => {
  await withFiles({ 'a.csv': 'id\n1\n' }, async (folder) => {
    await mkdir(join(folder, 'x'));
    await mkdir(join(folder, 'y'));
    await writeFile(join(folder, 'x', 'd.csv'), 'id\n1\n');
    await writeFile(join(folder, 'y', 'd.csv'), 'id\n1\n');
    const names = (await plan(open(join(folder, '**/*.csv')), { by: 'file' })).map((partition) => partition.name);
    expect(names).toEqual(['a.csv', 'x/d.csv', 'y/d.csv']);
  });
});

test("partitions by date: bounds in PostgreSQL's format, unreadable dates in a partition of their own", async () => {
  const text = 'day,n\n2001-02-03,1\n2001-01-31,2\n2001-02-30,3\n,4\n2001-02-28,5\n';
  await withFiles({ 'a.csv': text }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const partitions = await plan(source, { by: 'date', unit: 'month', column: 'day' });
    expect(partitions.map(({ name, filter, rowsExpected }) => ({ name, filter, rowsExpected }))).toEqual([
      {
        name: '2001-01',
        rowsExpected: 1,
        filter: { kind: 'between', column: 'day', from: '2001-01-01 00:00:00+00', to: '2001-02-01 00:00:00+00' },
      },
      {
        name: '2001-02',
        rowsExpected: 2,
        filter: { kind: 'between', column: 'day', from: '2001-02-01 00:00:00+00', to: '2001-03-01 00:00:00+00' },
      },
      { name: 'day is null', rowsExpected: 1, filter: { kind: 'equals', column: 'day', value: null } },
      { name: 'unreadable', rowsExpected: 1, filter: { kind: 'none' } },
    ]);
    const [unreadable] = partitions.slice(-1);
    if (!unreadable) throw new Error('no partition');
    expect(await readAll(source, unreadable)).toMatchObject([{ column: 'day', problem: 'not a date that exists', bytes: '2001-02-30,3' }]);
  });
});

test('a bounded plan by date has every month between its bounds', async () => {
  await withFiles({ 'a.csv': 'day,n\n2001-02-03,1\n2001-06-03,1\n9999-12-31,2\n' }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const bounded = await plan(source, { by: 'date', unit: 'month', column: 'day', from: '2001-01-15', to: '2001-04-01' });
    expect(bounded.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['2001-01', 0],
      ['2001-02', 1],
      ['2001-03', 0],
    ]);
    expect(bounded[0]?.filter).toMatchObject({ from: '2001-01-15 00:00:00+00' });
    if (bounded[0]) expect(await readAll(source, bounded[0])).toEqual([]);

    const years = await plan(source, { by: 'date', unit: 'year', column: 'day' });
    expect(years.map((year) => year.name)).toEqual(['2001', '9999']);
    expect(years[1]?.filter).toMatchObject({ to: null });
    if (years[1]) expect(await readAll(source, years[1])).toHaveLength(1);
    await expect(plan(source, { by: 'date', unit: 'day', column: 'day', from: '2001-02-30' })).rejects.toThrow('not a date that exists');
  });
});

test.each(['day', 'month', 'year'] as const)(
  'a zone that takes an instant beyond all years (%s): it is read with the last or the first of them',
  async (unit) => {
    const text =
      'at,n\n9999-12-31T23:59:59-05:00,1\n9999-12-31T23:59:59Z,2\n0001-01-01T00:30:00+01:00,3\n0001-01-01T00:30:00Z,4\n2001-02-03,5\n';
    await withFiles({ 'a.csv': text }, async (folder) => {
      const source = open(join(folder, 'a.csv'));
      const partitions = await plan(source, { by: 'date', unit, column: 'at' });
      const length = { day: 10, month: 7, year: 4 }[unit];
      expect(partitions.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
        ['0001-01-01'.slice(0, length), 2],
        ['2001-02-03'.slice(0, length), 1],
        ['9999-12-31'.slice(0, length), 2],
      ]);
      expect(partitions[0]?.filter).toMatchObject({ from: null });
      expect(partitions[2]?.filter).toMatchObject({ to: null });
      const read = await Promise.all(partitions.map((partition) => readAll(source, partition)));
      expect(read.map((records) => records.map((record) => record.values?.n))).toEqual([['3', '4'], ['5'], ['1', '2']]);
    });
  },
);

test('bounds in the first and in the last of all years hold', async () => {
  await withFiles({ 'a.csv': 'at,n\n0001-01-01,1\n0001-03-01,2\n9999-05-01,3\n9999-12-31,4\n' }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const first = await plan(source, { by: 'date', unit: 'year', column: 'at', from: '0001-01-01', to: '0001-02-01' });
    const last = await plan(source, { by: 'date', unit: 'year', column: 'at', from: '9999-01-01', to: '9999-06-01' });
    expect([...first, ...last].map(({ filter }) => filter)).toMatchObject([
      { from: '0001-01-01 00:00:00+00', to: '0001-02-01 00:00:00+00' },
      { from: '9999-01-01 00:00:00+00', to: '9999-06-01 00:00:00+00' },
    ]);
    if (last[0]) expect(await readAll(source, last[0])).toMatchObject([{ values: { n: '3' } }]);
    const beyond = { by: 'date', unit: 'year', column: 'at', to: '9999-12-31 23:59:59-05' } as const;
    await expect(plan(source, beyond)).rejects.toThrow('partitionBy.to: "9999-12-31 23:59:59-05" is not in the years 1 to 9999 of UTC');
  });
});

test('partitions by value, limited to some', async () => {
  await withFiles({ 'a.csv': 'region,n\nsouth,1\nnorth,2\n,3\nsouth,4\n"",5\nbroken"\n' }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const all = await plan(source, { by: 'value', column: 'region' });
    expect(all.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['region=""', 1],
      ['region=north', 1],
      ['region=south', 2],
      ['region is null', 1],
      ['unreadable', 1],
    ]);
    const some = await plan(source, { by: 'value', column: 'region', values: ['south', 'west', null] });
    expect(some.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['region=south', 2],
      ['region=west', 0],
      ['region is null', 1],
      ['unreadable', 1],
    ]);
  });
});

test('key ranges are refused', async () => {
  await withFiles({ 'a.csv': 'id\n1\n' }, async (folder) => {
    await expect(plan(open(join(folder, 'a.csv')), { by: 'range', column: 'id', rows: 10 })).rejects.toThrow(
      /key ranges.*Partition by file/,
    );
  });
});

test('a file that changed since the plan stops the partition', async () => {
  await withFiles({ 'a.csv': 'id\n1\n2\n' }, async (folder) => {
    const path = join(folder, 'a.csv');
    const source = open(path);
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    await source.verify(partition, signal);
    await utimes(path, new Date(0), new Date(0));
    await expect(source.verify(partition, signal)).rejects.toMatchObject({ code: 'SourceChanged' });
    await writeFile(path, 'id\n');
    await expect(readAll(source, partition)).rejects.toMatchObject({ code: 'SourceChanged' });
  });
});

test('reading can be aborted', async () => {
  await withFiles({ 'a.csv': `id\n${'1\n'.repeat(500_000)}` }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    const abort = new AbortController();
    const chunk = await source.readRecords({
      partition,
      columns: ['id'],
      window: null,
      position: null,
      maxRows: 1e9,
      maxBytes: 1e12,
      signal: abort.signal,
    });
    const reading = async () => {
      for await (const _ of chunk.batches) abort.abort(new Error('stop'));
    };
    await expect(reading()).rejects.toThrow('stop');
  });
});

test.each(['records', 'csv'] as const)('a chunk ends when reading takes long (%s), and the next goes on after it', async (transfer) => {
  await withFiles({ 'a.csv': `id\n${'1\n'.repeat(10_000)}` }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    const request = { partition, window: null, maxRows: 1e9, maxBytes: 1e12, maxMs: 0, signal, transfer, schema: [] };
    let chunks = 0;
    let rows = 0;
    for (let position: Parameters<Source['readRecords']>[0]['position'] = null; ; chunks++) {
      const records = await source.readRecords({ ...request, position, columns: ['id'] });
      const copy: CopyChunk | undefined = await source.readCopy?.({ ...request, position, columns: [{ name: 'id', sqlType: 'text' }] });
      if (transfer === 'records') for await (const batch of records.batches) rows += batch.length;
      else for await (const bytes of copy?.bytes ?? []) rows += Buffer.from(bytes).toString().split('\n').length - 1;
      const end: ChunkEnd | undefined = transfer === 'records' ? records.end() : copy?.end();
      if (!end || end.last) break;
      position = end.position;
    }
    expect(rows).toBe(10_000);
    expect(chunks).toBeGreaterThan(5);
  });
});

describe('real data', () => {
  const folder = join(process.cwd(), 'node_modules/vega-datasets/data');

  test.each(['flights-airport.csv', 'zipcodes.csv', 'birdstrikes.csv', 'airports.csv', 'species.csv', 'weather.csv', 'github.csv'])(
    '%s',
    async (name) => {
      const source = open(join(folder, name));
      const [partition] = await plan(source, { by: 'none' });
      if (!partition) throw new Error('no partition');
      const once = await readAll(source, partition);
      const text = await readFile(join(folder, name), 'utf8');
      const lines = text.split(/\r?\n/).filter((line) => line !== '');
      // None of these has line ends in fields.
      expect(once).toHaveLength(lines.length - 1);
      expect(once.filter((record) => record.problem)).toEqual([]);
      expect(once.map((record) => Buffer.from(record.bytes, 'latin1').toString())).toEqual(lines.slice(1));
      const header = (lines[0] ?? '').replace('\ufeff', '').split(',');
      const plain = once.find((record) => !record.bytes.includes('"'));
      if (plain)
        expect(Object.values(plain.values ?? {}).map((value) => value ?? '')).toEqual(
          Buffer.from(plain.bytes, 'latin1').toString().split(','),
        );
      expect(Object.keys(once[0]?.values ?? {})).toHaveLength(header.length);
      const sizes = [1, 977, 2500, 333];
      let chunk = 0;
      expect(await readAll(source, partition, () => ({ maxRows: sizes[chunk++ % sizes.length] ?? 1, maxBytes: 100_000 }))).toEqual(once);
    },
  );
});
