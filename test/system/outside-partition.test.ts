/** Replacing by partition: what is inserted must be what the next run of the partition would delete. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { CLI, project, startWorker } from '../helpers/workers.ts';

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

test('partitions whose values are equal in the target are not committed one by one', async () => {
  // Given values that differ as text: integers, and texts of a column whose collation ignores case
  const url = await freshDatabase('equal_values');
  const flow = await project('equal-values', url);
  await writeFile(join(flow.folder, 'places.csv'), 'place,n\n01,1\n1,2\n2,3\n');
  await writeFile(join(flow.folder, 'names.csv'), 'name,n\nEU,1\neu,2\nUS,3\n');
  const source = (name: string) => `source: csv({ files: '${flow.folder}/${name}.csv' })`;
  await flow.write(
    'pipelines.ts',
    `import { column, csv, definePipeline, postgres } from 'sluice';
     export default [
       definePipeline({ name: 'by-partition', ${source('places')}, partitionBy: column('place'), commit: 'partition', ${target('places')} }),
       definePipeline({ name: 'by-run', ${source('places')}, partitionBy: column('place'), commit: 'run', ${target('places')} }),
       definePipeline({ name: 'collated', ${source('names')}, partitionBy: column('name'), commit: 'partition', ${target('names')} }),
     ];`,
  );
  await query(url, `create table places (place int, n int); insert into places values (1, 7), (5, 8)`);
  await query(url, `create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  await query(url, 'create table names (name varchar(5) collate caseless, n int)');
  await startWorker(flow);
  const client = await temporalClient();

  const failures = [
    await failureOf(await startRun(client, flow, 'by-partition')),
    await failureOf(await startRun(client, flow, 'collated')),
  ];

  // Then the plan is refused with the values, and what the message says to do loads all rows
  expect(failures).toMatchObject([
    {
      type: 'EqualPartitions',
      message: expect.stringContaining('partitions "01" and "1" of "place" are one value in a column of type integer'),
    },
    { type: 'EqualPartitions', message: expect.stringContaining('partitions "EU" and "eu" of "name"') },
  ]);
  expect(await query(url, 'select n from places order by n')).toEqual([{ n: 7 }, { n: 8 }]);
  expect(await resultOf(await startRun(client, flow, 'by-run'))).toMatchObject({ rowsLoaded: 3 });
  expect(await query(url, 'select place, n from places order by n')).toEqual([
    { place: 1, n: 1 },
    { place: 1, n: 2 },
    { place: 2, n: 3 },
    { place: 5, n: 8 },
  ]);
});

test.each(['run', 'partition'])(
  'a partition value that the column refuses is in quarantine and replaces nothing (commit: %s)',
  async (commit) => {
    const url = await freshDatabase(`invalid_value_${commit}`);
    const flow = await project(`invalid-value-${commit}`, url);
    await writeFile(join(flow.folder, 'places.csv'), 'place,n\n1,1\nabc,2\n2,3\n99999999999,4\n');
    await flow.write(
      'pipelines.ts',
      `import { column, csv, definePipeline, postgres } from 'sluice';
     export default definePipeline({ name: 'places', source: csv({ files: '${flow.folder}/places.csv' }), partitionBy: column('place'), commit: '${commit}',
       tolerate: { quarantined: 2 }, ${target('places')} });`,
    );
    await query(url, 'create table places (place int, n int); insert into places values (1, 7), (5, 8)');
    await startWorker(flow);

    const run = await startRun(await temporalClient(), flow, 'places');
    expect(await resultOf(run)).toMatchObject({ rowsLoaded: 2, rowsQuarantined: 2 });
    expect(await query(url, 'select place, n from places order by n')).toEqual([
      { place: 1, n: 1 },
      { place: 2, n: 3 },
      { place: 5, n: 8 },
    ]);
    const verified = await promisify(execFile)(process.execPath, [CLI, 'verify', run.workflowId, '--json'], {
      cwd: flow.folder,
      env: flow.env,
    });
    expect(JSON.parse(verified.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ equal: true, sourceRows: 2, targetRows: 2 });
  },
);
