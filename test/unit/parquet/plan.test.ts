import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyAll, FLIGHTS, parseCsv, planOf, requestFor, signal, sourceOf, withFolder } from './parquet-files.ts';

const summary = (partitions: Awaited<ReturnType<typeof planOf>>) =>
  partitions.map(({ name, filter, rowsExpected }) => ({ name, filter, rowsExpected }));

test('three million flights are seven months', async () => {
  const months = await planOf(sourceOf(FLIGHTS), { by: 'date', unit: 'month', column: 'date' });
  expect(months.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
    ['2001-01', 508_239],
    ['2001-02', 458_170],
    ['2001-03', 511_502],
    ['2001-04', 501_030],
    ['2001-05', 518_831],
    ['2001-06', 502_222],
    ['2001-07', 6],
  ]);
  expect(months[1]?.filter).toEqual({ kind: 'between', column: 'date', from: '2001-02-01', to: '2001-03-01' });
});

test('a large file is divided between its row groups, a small one is one partition', async () => {
  const source = sourceOf(FLIGHTS);
  for (const size of [1_000, 8_000_000, 64 * 1024 * 1024]) {
    const parts = await planOf(source, { by: 'bytes', size });
    const ranges = parts.map(({ bounds }) => (bounds as unknown as { files: { from: number; to: number }[] }).files[0]);
    expect(ranges[0]?.from).toBe(0);
    for (const [index, range] of ranges.entries()) if (index > 0) expect(range?.from).toBe(ranges[index - 1]?.to);
    expect(ranges.at(-1)?.to).toBe(3_000_000);
    expect(parts.reduce((sum, { rowsExpected }) => sum + (rowsExpected ?? 0), 0)).toBe(3_000_000);
    expect(new Set(parts.map(({ name }) => name)).size).toBe(parts.length);
  }
  expect(await planOf(source, { by: 'bytes', size: 1_000 })).toHaveLength(11);
  expect(await planOf(source, { by: 'bytes', size: 64 * 1024 * 1024 })).toHaveLength(3);
  expect((await planOf(source, { by: 'bytes', size: 1e12 })).map(({ name }) => name)).toEqual(['flights-3m.parquet']);
});

test('days and years are named as people write them, and rows without a date are a partition too', async () => {
  await withFolder(async ({ write }) => {
    const file = await write(
      'a.parquet',
      `SELECT * FROM (VALUES (DATE '2001-03-04', 1), (NULL, 2), (DATE '2001-03-04', 3), (DATE '1999-12-31', 4)) t(d, n)`,
    );
    const days = await planOf(sourceOf(file), { by: 'date', unit: 'day', column: 'd' });
    expect(summary(days)).toEqual([
      { name: '1999-12-31', filter: { kind: 'between', column: 'd', from: '1999-12-31', to: '2000-01-01' }, rowsExpected: 1 },
      { name: '2001-03-04', filter: { kind: 'between', column: 'd', from: '2001-03-04', to: '2001-03-05' }, rowsExpected: 2 },
      { name: 'null', filter: { kind: 'equals', column: 'd', value: null }, rowsExpected: 1 },
    ]);
    expect((await planOf(sourceOf(file), { by: 'date', unit: 'year', column: 'd' })).map(({ name }) => name)).toEqual([
      '1999',
      '2001',
      'null',
    ]);
  });
});

test('from and to limit the rows, and a month between them without rows is a partition', async () => {
  await withFolder(async ({ write }) => {
    const rows = `(TIMESTAMP '2001-01-31 23:59:59'), (TIMESTAMP '2001-02-10 11:00:00'), (TIMESTAMP '2001-02-10 12:00:00'), (TIMESTAMP '2001-04-30 01:00:00'), (NULL)`;
    const file = await write('a.parquet', `SELECT * FROM (VALUES ${rows}) t(moment)`);
    const months = await planOf(sourceOf(file), {
      by: 'date',
      unit: 'month',
      column: 'moment',
      from: '2001-02-10T14:00:00+02:00',
      to: '2001-04-30T01:00:00Z',
    });
    expect(summary(months)).toEqual([
      { name: '2001-02', filter: { kind: 'between', column: 'moment', from: '2001-02-10 12:00:00', to: '2001-03-01' }, rowsExpected: 1 },
      { name: '2001-03', filter: { kind: 'between', column: 'moment', from: '2001-03-01', to: '2001-04-01' }, rowsExpected: 0 },
      { name: '2001-04', filter: { kind: 'between', column: 'moment', from: '2001-04-01', to: '2001-04-30 01:00:00' }, rowsExpected: 0 },
    ]);
    const since = await planOf(sourceOf(file), { by: 'date', unit: 'month', column: 'moment', from: '2001-02-01' });
    expect(since.map(({ name }) => name)).toEqual(['2001-02', '2001-04']);
    await expect(planOf(sourceOf(file), { by: 'date', unit: 'month', column: 'moment', from: '2001-02-30' })).rejects.toMatchObject({
      code: 'InvalidPartitioning',
    });
  });
});

test('infinite dates and dates before our era are found again', async () => {
  await withFolder(async ({ write }) => {
    const file = await write(
      'a.parquet',
      `SELECT * FROM (VALUES (TIMESTAMP 'infinity'), (TIMESTAMP '0044-03-15 (BC) 10:00:00'), (TIMESTAMP '-infinity')) t(moment)`,
    );
    const source = sourceOf(file);
    const months = await planOf(source, { by: 'date', unit: 'month', column: 'moment' });
    expect(summary(months)).toEqual([
      { name: '-infinity', filter: { kind: 'equals', column: 'moment', value: '-infinity' }, rowsExpected: 1 },
      { name: '0044-03 BC', filter: { kind: 'between', column: 'moment', from: '0044-03-01 BC', to: '0044-04-01 BC' }, rowsExpected: 1 },
      { name: 'infinity', filter: { kind: 'equals', column: 'moment', value: 'infinity' }, rowsExpected: 1 },
    ]);
    const texts = [];
    for (const month of months) texts.push((await copyAll(source, month, await requestFor(source))).text);
    expect(texts).toEqual(['2,-infinity\n', '1,0044-03-15 10:00:00 BC\n', '0,infinity\n']);
  });
});

test('values are partitions; those that the run names and the files lack are empty ones', async () => {
  await withFolder(async ({ write }) => {
    const a = await write('a.parquet', `SELECT * FROM (VALUES ('it''s', 1), ('b', 2), (NULL, 3)) t(region, n)`);
    const b = await write('b.parquet', `SELECT * FROM (VALUES ('b', 4), ('', 5)) t(region, n)`);
    const source = sourceOf([a, b]);
    expect(summary(await planOf(source, { by: 'value', column: 'region' }))).toEqual([
      { name: 'region=', filter: { kind: 'equals', column: 'region', value: '' }, rowsExpected: 1 },
      { name: 'region=b', filter: { kind: 'equals', column: 'region', value: 'b' }, rowsExpected: 2 },
      { name: "region=it's", filter: { kind: 'equals', column: 'region', value: "it's" }, rowsExpected: 1 },
      { name: 'region is null', filter: { kind: 'equals', column: 'region', value: null }, rowsExpected: 1 },
    ]);
    const some = await planOf(source, { by: 'value', column: 'region', values: ['b', 'gone', null] });
    expect(some.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['region=b', 2],
      ['region is null', 1],
      ['region=gone', 0],
    ]);
    const [both, , gone] = some;
    if (!both || !gone) throw new Error('no plan');
    expect((await copyAll(source, both, await requestFor(source))).text).toBe(`1,b,2\n${2 ** 36},b,4\n`);
    expect(await copyAll(source, gone, await requestFor(source))).toMatchObject({ text: '', rowsRead: 0, chunks: 1 });
    await expect(planOf(source, { by: 'value', column: 'n', values: ['x'] })).rejects.toMatchObject({ code: 'InvalidPartitioning' });
  });
});

test('key ranges hold about n rows, never divide equal keys, and together hold every key', async () => {
  await withFolder(async ({ write }) => {
    const file = await write(
      'a.parquet',
      `SELECT CASE WHEN i % 11 = 0 THEN NULL WHEN i < 50 THEN 7 ELSE (i * 7919) % 1009 END AS id FROM range(1000) t(i)`,
    );
    const source = sourceOf(file);
    const ranges = await planOf(source, { by: 'range', column: 'id', rows: 100 });
    const keys = ranges.slice(0, -1).map(({ filter }) => filter as { from: string | null; to: string | null });
    expect(keys[0]?.from).toBeNull();
    expect(keys.at(-1)?.to).toBeNull();
    for (const [index, range] of keys.slice(1).entries()) expect(range.from).toBe(keys[index]?.to);
    expect(ranges.at(-1)).toMatchObject({ name: 'id is null', rowsExpected: 91 });
    const request = await requestFor(source);
    const positions = new Set<string | null>();
    for (const range of ranges) {
      const copied = await copyAll(source, range, request, { maxRows: 30 });
      expect(copied.rowsRead).toBe(range.rowsExpected);
      for (const [position, id] of parseCsv(copied.text)) {
        positions.add(position ?? null);
        if (range.filter.kind !== 'between') continue;
        if (range.filter.from !== null) expect(Number(id)).toBeGreaterThanOrEqual(Number(range.filter.from));
        if (range.filter.to !== null) expect(Number(id)).toBeLessThan(Number(range.filter.to));
      }
    }
    expect(positions.size).toBe(1000);
  });
});

test('each file is a partition, by its name', async () => {
  await withFolder(async ({ path, write }) => {
    await write('flights-1.parquet', 'SELECT 1 AS n');
    await write('flights-[2]*.parquet', 'SELECT 2 AS n UNION ALL SELECT 3');
    await write('none.parquet', 'SELECT 2 AS n WHERE false');
    const source = sourceOf(`${path}/*.parquet`);
    const files = await planOf(source, { by: 'file' });
    expect(files.map(({ name, rowsExpected }) => [name, rowsExpected])).toEqual([
      ['flights-1.parquet', 1],
      ['flights-[2]*.parquet', 2],
      ['none.parquet', 0],
    ]);
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    expect(all).toMatchObject({ name: 'all', filter: { kind: 'all' }, rowsExpected: 3 });
    // Small files share a chunk.
    expect(await copyAll(source, all, await requestFor(source))).toMatchObject({
      chunks: 1,
      rowsRead: 3,
      text: `0,1\n${2 ** 36},2\n${2 ** 36 + 1},3\n`,
    });
  });
});

test('ten thousand partitions are planned in one pass', async () => {
  await withFolder(async ({ write }) => {
    const file = await write('a.parquet', 'SELECT (i * 7919) % 10000 AS shop FROM range(200000) t(i)');
    const shops = await planOf(sourceOf(file), { by: 'value', column: 'shop' });
    expect(shops).toHaveLength(10_000);
    expect(shops.reduce((sum, { rowsExpected }) => sum + (rowsExpected ?? 0), 0)).toBe(200_000);
  });
});

test('what is wrong with files and columns is said', async () => {
  await withFolder(async ({ path, write }) => {
    const file = await write('a.parquet', `SELECT 'x' AS name, [1] AS list, 1 AS "file_row_number"`);
    await expect(sourceOf(file).describe(signal)).rejects.toMatchObject({ code: 'UnsupportedColumn' });
    const good = await write('b.parquet', `SELECT 'x' AS name, [1] AS list`);
    await expect(planOf(sourceOf(good), { by: 'date', unit: 'day', column: 'name' })).rejects.toThrow('Column "name" is of type VARCHAR');
    await expect(planOf(sourceOf(good), { by: 'value', column: 'list' })).rejects.toMatchObject({ code: 'InvalidPartitioning' });
    await expect(planOf(sourceOf(good), { by: 'value', column: 'nam' })).rejects.toThrow(
      'has no column "nam" to partition by. It has: name, list.',
    );
    await expect(sourceOf(join(path, 'none-*.parquet')).describe(signal)).rejects.toMatchObject({ code: 'MissingFile' });
    await writeFile(join(path, 'c.parquet'), 'PAR1 this is not Parquet at all, however long it is PAR1');
    const broken = sourceOf([good, join(path, 'c.parquet')]).describe(signal);
    await expect(broken).rejects.toMatchObject({ code: 'UnreadableFile', kind: 'permanent' });
    await expect(broken).rejects.toThrow(join(path, 'c.parquet'));
  });
});

test('a file that changed since the plan stops its partition', async () => {
  await withFolder(async ({ write }) => {
    const file = await write('a.parquet', 'SELECT 1 AS n');
    const source = sourceOf(file);
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    await source.verify(all, signal);
    await utimes(file, new Date(), new Date(Date.now() + 5_000));
    await expect(source.verify(all, signal)).rejects.toMatchObject({ code: 'SourceChanged' });
  });
});
