/** Replacing by partition: what is inserted must be what the next run of the partition would delete. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

const target = (column: string) => `target: postgres({ table: '${column}', mode: 'replace', scope: 'partition' })`;

test('rows that are stored outside of their partition are refused, and nothing is changed', async () => {
  // Given a row of January in UTC that a column without a zone stores in February, and a transform that moves rows to another partition
  const url = await freshDatabase('outside');
  const flow = await project('outside', url);
  await writeFile(join(flow.folder, 'times.csv'), 'at,n\n2001-01-10 00:00:00+00,1\n2001-02-01 00:30:00+02,2\n');
  await writeFile(join(flow.folder, 'places.csv'), 'place,n\nnorth,1\nsouth,2\n');
  await flow.write(
    'pipelines.ts',
    `import { csv, definePipeline, month, postgres, region, sql } from 'sluice';
     import { z } from 'zod';
     const files = { files: '${flow.folder}/places.csv' };
     export default [
       definePipeline({ name: 'zones', source: csv({ files: '${flow.folder}/times.csv' }), partitionBy: month('at', { from: '2001-01-01', to: '2001-02-01' }),
         ${target('at_times')} }),
       definePipeline({ name: 'moved', source: csv(files), partitionBy: region('place', ['north', 'south']), commit: 'partition',
         row: z.object({ place: z.string(), n: z.coerce.number().int() }),
         transform: sql\`select 'south' as place, n from staging\`, output: z.object({ place: z.string(), n: z.int() }), ${target('places')} }),
     ];`,
  );
  await query(url, `create table at_times (at timestamp, n int); insert into at_times values ('2001-01-05', 7)`);
  await query(url, `create table places (place text, n int); insert into places values ('north', 8)`);
  await startWorker(flow);
  const client = await temporalClient();

  const zones = await failureOf(await startRun(client, flow, 'zones'));
  const moved = await failureOf(await startRun(client, flow, 'moved'));

  expect(zones).toMatchObject({
    type: 'OutsidePartition',
    message: expect.stringMatching(/1 rows lie outside .* "at" is stored as 2001-02-01 00:30:00/),
  });
  expect(moved.message).toMatch(/"place" is stored as south/);
  expect(await query(url, 'select n from at_times')).toEqual([{ n: 7 }]);
  expect(await query(url, `select n from places where place = 'north'`)).toEqual([{ n: 8 }]);
});

test('a partition value that is longer than the column names no other partition', async () => {
  const url = await freshDatabase('long_value');
  const flow = await project('long-value', url);
  await writeFile(join(flow.folder, 'places.csv'), 'place,n\nabcd,1\n');
  await flow.write(
    'pipelines.ts',
    `import { csv, definePipeline, postgres, region } from 'sluice';
     export default definePipeline({ name: 'places', source: csv({ files: '${flow.folder}/places.csv' }), partitionBy: region('place', ['abcd']),
       tolerate: { quarantined: 1 }, ${target('places')} });`,
  );
  await query(url, `create table places (place varchar(3), n int); insert into places values ('abc', 8)`);
  await startWorker(flow);

  expect(await resultOf(await startRun(await temporalClient(), flow, 'places'))).toMatchObject({ rowsLoaded: 0, rowsQuarantined: 1 });
  expect(await query(url, 'select * from places')).toEqual([{ place: 'abc', n: 8 }]);
});
