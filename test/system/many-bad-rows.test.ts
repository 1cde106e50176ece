/** Bad rows wait in the worker's memory for the end of their chunk: where they are many, the chunk ends earlier. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { realRows } from '../helpers/dirty-file.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

/** What the bad rows of a chunk may take, and one row more. */
const MOST_BYTES = 8 * 1024 * 1024 + 1_000;
const OVERHEAD_BYTES = 200;
const TIMES = 3;

test.each([
  ['CSV', `csv({ files: 'zipcodes.csv' })`],
  ['JSON lines', `jsonl({ files: 'zipcodes.jsonl' })`],
  ['Parquet', `parquet({ files: 'zipcodes.parquet' })`],
  ['PostgreSQL', `postgres({ url: 'URL', table: 'zipcodes' })`],
])('%s', async (_kind, source) => {
  // Given the zip codes, three times over, all of them bad
  const url = await freshDatabase('many_bad_rows');
  const flow = await project('many-bad-rows', url);
  const path = (ending: string) => join(flow.folder, `zipcodes.${ending}`);
  const zipcodes = realRows('zipcodes.csv');
  const lines = Array.from({ length: TIMES }, (_, time) =>
    zipcodes.map((row, at) => [time * zipcodes.length + at, ...row].join(',')),
  ).flat();
  await writeFile(path('csv'), `id,zip_code,latitude,longitude,city,state,county\n${lines.join('\n')}\n`);
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  for (const [ending, format] of [
    ['jsonl', 'json'],
    ['parquet', 'parquet'],
  ] as const) {
    await duckdb.run(
      `copy (select * from read_csv('${path('csv')}', types = {'zip_code': 'varchar'})) to '${path(ending)}' (format ${format})`,
    );
  }
  duckdb.closeSync();
  await query(url, 'create table zipcodes (id integer primary key, latitude double precision, longitude double precision, city text)');
  await query(url, `insert into zipcodes select n, 40, -73, 'New York' from generate_series(0, ${lines.length - 1}) as n`);
  await flow.write(
    'bad.ts',
    `import { csv, definePipeline, jsonl, parquet, postgres } from 'sluice';
     import { z } from 'zod';
     export default definePipeline({
       name: 'bad', source: ${source.replace('URL', url)}, tolerate: { quarantined: 1_000_000 },
       row: z.object({ id: z.int(), latitude: z.number().min(90.5), longitude: z.number() }),
       target: postgres({ table: 'loaded', mode: 'append' }),
     });`,
  );
  await startWorker(flow);

  // When they are copied
  const summary = await resultOf(await startRun(await temporalClient(), flow, 'bad', {}));

  // Then all are in quarantine, once, from chunks that were short enough
  expect(summary).toMatchObject({ rowsRead: lines.length, rowsLoaded: 0, rowsQuarantined: lines.length });
  const [kept] = await query<{ rows: number; different: number; most: number }>(
    url,
    `select sum(rows)::int as rows, (select count(distinct (partition, position))::int from sluice.quarantine) as different, max(bytes)::int as most
     from (select count(*) as rows, sum(length(record) + ${OVERHEAD_BYTES}) as bytes from sluice.quarantine group by partition, chunk) as chunks`,
  );
  expect(kept).toMatchObject({ rows: lines.length, different: lines.length });
  expect(kept?.most).toBeLessThan(MOST_BYTES);
});
