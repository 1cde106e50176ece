import { planOf, signal, sourceOf, withFolder } from './parquet-files.ts';

const none = async () => new Set<number>();

test('rows are counted and columns added up over the partitions asked for, exactly, and over files that lack a column', async () => {
  await withFolder(async ({ write }) => {
    const files = [
      await write('a.parquet', `SELECT i % 3 AS part, 9007199254740993 + i AS big, (i / 8)::DECIMAL(38,3) AS amount FROM range(1000) t(i)`),
      await write('b.parquet', `SELECT i % 3 AS part, 9007199254740993 + i AS big FROM range(7) t(i)`),
    ];
    const source = sourceOf(files);
    const partitions = (await planOf(source, { by: 'value', column: 'part' })).slice(1);
    const total = await source.totals({ partitions, columns: ['big', 'amount'], quarantined: none, ends: [], window: null, signal });
    const ids = [...Array(1000).keys()].filter((i) => i % 3 !== 0);
    const more = [1, 2, 4, 5];
    const sum = [...ids, ...more].reduce((sum, i) => sum + 9007199254740993n + BigInt(i), 0n);
    expect(total).toEqual({ rows: ids.length + 4, sums: [sum.toString(), expect.stringMatching(/^41\d{3}\.\d{3}$/)], of: 'all' });
    expect(await source.totals({ partitions: [], columns: ['big'], quarantined: none, ends: [], window: null, signal })).toEqual({
      rows: 0,
      sums: [null],
      of: 'all',
    });
    await write('a.parquet', 'SELECT 1 AS part');
    await expect(source.totals({ partitions, columns: [], quarantined: none, ends: [], window: null, signal })).rejects.toMatchObject({
      code: 'SourceChanged',
    });
  });
});
