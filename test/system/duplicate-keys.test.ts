/** Keys that are there twice, loaded into a table that has rows: the target refuses them, and only then the rows are looked through. */
import { mkdir, writeFile } from 'node:fs/promises';
import { declaredPipelines } from '../helpers/declared-pipelines.ts';
import { dirt, expectRows, quarantineOf, realRows, writeDirtyFile, ZIPCODES, zipcode } from '../helpers/dirty-file.ts';
import { failureOf } from '../helpers/runs.ts';
import { query } from '../helpers/servers.ts';

let url: string;
const { pipeline, begin, file, start, run } = declaredPipelines('duplicate-keys');

beforeAll(async () => {
  url = await begin();
});

/** The row that a table has before it is loaded. */
const ALREADY = ['already', '', '', '', '', ''];

/** A table with a primary key, and with that row. */
async function makeTable(name: string): Promise<void> {
  await query(
    url,
    `create table ${name} (zip_code text primary key, latitude text, longitude text, city text, state text, county text);
     insert into ${name} values ('already', '', '', '', '', '')`,
  );
}

pipeline(
  'twins',
  `params: z.object({ file: z.string() }), source: ({ file }) => csv({ files: file }), tolerate: { quarantined: 20 },
   target: postgres({ table: 'twins', mode: 'append', key: ['zip_code'] })`,
);

test('a target that refuses two rows with one key is asked first, and then the rows are looked through', async () => {
  // Given a table with rows and a primary key
  await makeTable('twins');
  const good = realRows('zipcodes.csv');
  const [second, last] = [good[1], good.at(-1)].map((row) => (row ?? []).join(','));
  const lines = good.map((row) => row.join(','));
  const expected = await writeDirtyFile(file('twins.csv'), ZIPCODES.join(','), lines, [
    dirt(`${second}`, 'zip_code', 'duplicate key in this run'),
    dirt(`${second}!`, 'zip_code', 'duplicate key in this run'),
  ]);

  // When the file holds keys twice, they are in quarantine as they were, and all else is loaded
  const summary = await run('twins', { file: 'twins.csv' });
  expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
  const rows = [ALREADY, ...good];
  await expectRows(url, 'twins', rows.map(zipcode));

  // And when the key is the target's already, the run fails and says which
  await writeFile(file('again.csv'), `${ZIPCODES.join(',')}\n${last}\n`);
  const failure = await failureOf(await start('twins', { file: 'again.csv' }));
  expect(failure).toMatchObject({
    type: 'DataRefused',
    message: expect.stringMatching(/Key \(zip_code\).*already exists.*Nothing was changed/s),
  });
  await expectRows(url, 'twins', rows.map(zipcode));
});

pipeline(
  'twins_in_parts',
  `source: csv({ files: 'parts/*.csv' }), partitionBy: file(), commit: 'partition', tolerate: { quarantined: 20 },
   target: postgres({ table: 'twins_in_parts', mode: 'append', key: ['zip_code'] })`,
);

test('the same with more partitions than are loaded at once: each is looked through when the target has refused it', async () => {
  // Given twelve files, and in each of them a key that is there twice
  await makeTable('twins_in_parts');
  const good = realRows('zipcodes.csv').slice(0, 1_200);
  const parts = Array.from({ length: 12 }, (_, nth) => good.slice(nth * 100, nth * 100 + 100));
  await mkdir(file('parts'));
  for (const [nth, rows] of parts.entries()) {
    const lines = [...rows, rows[7] ?? []].map((row) => row.join(','));
    await writeFile(file(`parts/${nth}.csv`), `${[ZIPCODES.join(','), ...lines].join('\n')}\n`);
  }

  // When they are loaded
  const summary = await run('twins_in_parts');

  // Then each second one is in quarantine, and all else is loaded
  expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: parts.length });
  const quarantined = (await quarantineOf(url, summary.runKey)).map(({ record, reason }) => [record, reason]);
  expect(quarantined.sort()).toEqual(parts.map((rows) => [(rows[7] ?? []).join(','), 'duplicate key in this run']).sort());
  await expectRows(url, 'twins_in_parts', [ALREADY, ...good].map(zipcode));
});
