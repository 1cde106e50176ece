/** Records are counted and added up by reading them once more. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import { plan, readAll, signal, withFiles } from './record-files.ts';

const TEXT = 'kind,amount\nnut,1.10\nbolt,-0.2\nnut,\nnut,n/a\nnut,7,8\nbolt,3\n';
const open = (folder: string) => createCsvSource(csvConfig.parse(csv({ files: join(folder, '*.csv') })));

test('over the partitions asked for, without what is in quarantine', async () => {
  await withFiles({ 'a.csv': TEXT, 'b.csv': 'amount\n4\n' }, async (folder) => {
    const source = open(folder);
    const partitions = await plan(source, { by: 'value', column: 'kind' });
    const records = await Promise.all(partitions.map((partition) => readAll(source, partition)));
    const isBad = ({ values }: { values: Record<string, unknown> | null }) => values?.amount === 'n/a';
    const quarantined = records.map((all) => new Set(all.filter(isBad).map(({ position }) => position)));
    const totals = (names: readonly string[], columns: readonly string[]) => {
      const chosen = partitions.flatMap((partition, nth) => (names.includes(partition.name) ? [nth] : []));
      const parts = {
        partitions: chosen.map((nth) => partitions[nth]),
        quarantined: async (nth: number) => quarantined[chosen[nth] ?? -1],
      };
      return source.totals({ ...parts, columns, ends: [], window: null, signal } as Parameters<typeof source.totals>[0]);
    };
    const names = partitions.map(({ name }) => name);
    expect(names).toEqual(['kind=bolt', 'kind=nut', 'unreadable']);
    expect(await totals(['kind=bolt'], ['amount'])).toEqual({ rows: 2, sums: ['2.8'], of: 'staged' });
    expect(await totals(['kind=nut'], ['amount'])).toEqual({ rows: 3, sums: ['1.10'], of: 'staged' });
    expect(await totals(names, [])).toEqual({ rows: 7, sums: [], of: 'staged' });
    expect(await totals([], ['amount'])).toEqual({ rows: 0, sums: [null], of: 'staged' });
    quarantined[names.indexOf('kind=nut')]?.clear();
    await expect(totals(names, ['amount'])).rejects.toMatchObject({
      code: 'NotSummable',
      message: expect.stringMatching(/a\.csv", byte 36: column "amount" is "n\/a", which is no number that adds up/),
    });
    await writeFile(join(folder, 'a.csv'), 'kind,amount\nnut,1\n');
    await expect(totals(names, [])).rejects.toMatchObject({ code: 'SourceChanged' });
  });
});
