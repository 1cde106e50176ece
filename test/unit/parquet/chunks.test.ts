import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { column, copyAll, FLIGHTS, parseCsv, planOf, readAll, requestFor, sha256, signal, sourceOf, withFolder } from './parquet-files.ts';

const schema = [
  column('date', 'date'),
  column('delay', 'int', { checks: [{ kind: 'min', value: -120, inclusive: true }] }),
  column('distance', 'int', { checks: [{ kind: 'min', value: 0, inclusive: false }] }),
  column('origin', 'string', { checks: [{ kind: 'length', value: 3 }] }),
  column('destination', 'string', { checks: [{ kind: 'length', value: 3 }] }),
];

async function february() {
  const source = sourceOf(FLIGHTS);
  const partition = (await planOf(source, { by: 'date', unit: 'month', column: 'date' }))[1];
  if (!partition) throw new Error('no plan');
  return { source, partition, request: await requestFor(source, schema) };
}

test('chunks of any size, one after the other, are the whole partition, and bad rows are not lost', async () => {
  const { source, partition, request } = await february();
  expect((await source.chooseTransfer(request)).transfer).toBe('csv');
  const whole = await copyAll(source, partition, request, { maxRows: 1_000_000, maxBytes: 1e9 });
  expect(whole.chunks).toBe(1);
  expect(whole.rowsRead).toBe(458_170);
  expect(whole.text.split('\n').length - 1 + whole.rejected.length).toBe(458_170);
  expect(whole.rejected.map(({ reason, column: name }) => [name, reason])).toEqual(Array(3).fill(['delay', 'less than -120']));
  expect(whole.rejected[0]).toMatchObject({ position: 515_377 });
  expect(JSON.parse(String(whole.rejected[0]?.record))).toEqual({
    date: '2001-02-01T12:17:00.000Z',
    delay: -212,
    distance: 256,
    origin: 'LAS',
    destination: 'PHX',
  });
  for (const limits of [{ maxRows: 100_000 }, { maxRows: 33_333 }, { maxRows: 1_000_000, maxBytes: 4_000_000 }]) {
    const parts = await copyAll(source, partition, request, limits);
    expect(parts.chunks).toBe('maxBytes' in limits ? 8 : Math.ceil(458_170 / limits.maxRows));
    expect(sha256(parts.text)).toBe(sha256(whole.text));
    expect(parts.rejected).toEqual(whole.rejected);
    expect(parts.rowsRead).toBe(whole.rowsRead);
  }
});

test('a partition whose rows lie scattered comes in full chunks', async () => {
  const source = sourceOf(FLIGHTS);
  const [atlanta] = await planOf(source, { by: 'value', column: 'origin', values: ['ATL'] });
  if (!atlanta) throw new Error('no plan');
  const request = await requestFor(source, schema);
  const copied = await copyAll(source, atlanta, request, { maxRows: 50_000 });
  expect(copied.rowsRead).toBe(atlanta.rowsExpected);
  expect(copied.chunks).toBe(Math.ceil(copied.rowsRead / 50_000));
  const rows = parseCsv(copied.text);
  expect(new Set(rows.map((row) => row[4]))).toEqual(new Set(['ATL']));
  expect(new Set(rows.map((row) => row[0])).size).toBe(copied.rowsRead - copied.rejected.length);
});

test('a chunk is read again from its position, by another source as well', async () => {
  const { source, partition, request } = await february();
  const { positions, text } = await copyAll(source, partition, request, { maxRows: 200_000 });
  const second = {
    ...request,
    partition,
    window: null,
    position: positions[0] ?? null,
    maxRows: 200_000,
    maxBytes: 1e9,
    signal,
    transfer: 'csv',
  };
  for (const reader of [source, sourceOf(FLIGHTS)]) {
    const chunk = await reader.readCopy?.(second as never);
    const pieces = [];
    for await (const piece of chunk?.bytes ?? []) pieces.push(piece);
    expect(text).toContain(Buffer.concat(pieces).toString());
    expect(chunk?.end()).toMatchObject({ position: positions[1], last: false, rowsRead: 200_000 });
    expect(pieces.every((piece) => piece.length <= 256 * 1024)).toBe(true);
  }
});

test('records are the same rows at the same positions', async () => {
  const { source, partition, request } = await february();
  const { text, rejected } = await copyAll(source, partition, request);
  const records = await readAll(source, partition, ['date', 'delay', 'distance', 'origin', 'destination']);
  expect(records).toHaveLength(458_170);
  const bad = new Set(rejected.map(({ position }) => position));
  const lines = records
    .filter(({ position }) => !bad.has(position))
    .map(({ position, values }) => {
      const { date, delay, distance, origin, destination } = values as Record<string, unknown>;
      return `${position},${(date as Date).toISOString().replace('T', ' ').slice(0, 19)},${delay},${distance},${origin},${destination}\n`;
    });
  expect(sha256(lines.join(''))).toBe(sha256(text));
  const again = await source.readAt?.(partition, [...bad]);
  expect(rejected.map(({ position }) => again?.get(position)?.toString())).toEqual(rejected.map(({ record }) => record.toString()));
});

test('long rows make small chunks, and one row is always taken', async () => {
  await withFolder(async ({ write }) => {
    const file = await write('a.parquet', `SELECT i, repeat('x', CASE WHEN i = 5 THEN 1000000 ELSE 1000 END) AS t FROM range(100) t(i)`);
    const source = sourceOf(file);
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const copied = await copyAll(source, all, await requestFor(source), { maxBytes: 11_000 });
    expect(copied.rowsRead).toBe(100);
    expect(copied.positions.slice(0, 3)).toEqual([
      { file: 0, row: 5 },
      { file: 0, row: 6 },
      { file: 0, row: 16 },
    ]);
    expect(parseCsv(copied.text).map(([position]) => Number(position))).toEqual([...Array(100).keys()]);
  });
});

const leftBehind = () =>
  readdirSync(tmpdir())
    .filter((name) => name.startsWith(`sluice-duckdb-${hostname()}-${process.pid}-`))
    .flatMap((name) => readdirSync(join(tmpdir(), name)).filter((file) => file.endsWith('.csv')));

test('an abort interrupts DuckDB, and no file is left, also when the reader goes away', async () => {
  const { source, partition, request } = await february();
  const controller = new AbortController();
  const chunk = { ...request, partition, window: null, position: null, maxRows: 458_170, maxBytes: 1e9, transfer: 'csv' };
  const aborted = await source.readCopy?.({ ...chunk, signal: controller.signal } as never);
  setTimeout(() => controller.abort(new Error('stop')), 10);
  await expect(async () => {
    for await (const _ of aborted?.bytes ?? []);
  }).rejects.toThrow('stop');

  const left = await source.readCopy?.({ ...chunk, signal } as never);
  for await (const _ of left?.bytes ?? []) break;
  expect(() => left?.end()).toThrow();
  expect(leftBehind()).toEqual([]);
});

test('a file that is broken in the middle is named, for good', async () => {
  await withFolder(async ({ path }) => {
    const broken = readFileSync(FLIGHTS).fill(7, 1_000_000, 1_001_000);
    await writeFile(join(path, 'broken.parquet'), broken);
    const source = sourceOf(join(path, 'broken.parquet'));
    const [all] = await planOf(source, { by: 'none' });
    if (!all) throw new Error('no plan');
    const copying = copyAll(source, all, await requestFor(source));
    await expect(copying).rejects.toMatchObject({ code: 'UnreadableFile', kind: 'permanent' });
    await expect(copying).rejects.toThrow('broken.parquet');
  });
});
