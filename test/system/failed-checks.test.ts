/** Runs that fail their checks change nothing, say why, and go on where the cause has been mended. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { connect, type SluiceClient } from '../../src/client/index.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { leftovers, runsOf } from '../helpers/ledger.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, sharedTemporalAddress, temporalClient } from '../helpers/servers.ts';
import { CLI, type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 24_000;
const run = promisify(execFile);

let url: string;
let flow: Project;
let client: Client;
let sluice: SluiceClient;

const pipeline = (name: string, options: string) => `
import { definePipeline, noRows, postgres, region, rowCount } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  source: postgres({ table: '${name}_source' }),
  row: z.object({
    id: z.bigint(), month: z.string(), delay: z.int(), distance: z.int().max(1_000_000), origin: z.string(), destination: z.string(), updated: z.date(),
  }),
  ${options}
});`;

beforeAll(async () => {
  url = await freshDatabase('failed_checks');
  flow = await project('failed-checks', url);
  await seedFlights(url, 'flights', ROWS);
  for (const name of ['checked', 'months', 'refused']) {
    await query(url, `create table ${name}_source (like flights including all)`);
    await query(url, `insert into ${name}_source select * from flights`);
  }
  await flow.write(
    'checked.ts',
    pipeline(
      'checked',
      `checks: [rowCount({ min: ${ROWS - 5} }), noRows('no flight goes round the world', 'select id, distance from rows where distance > 10000')],
       target: postgres({ table: 'checked', mode: 'replace', key: ['id'] }),
       tolerate: { quarantined: 5 },`,
    ),
  );
  await flow.write(
    'months.ts',
    pipeline(
      'months',
      `partitionBy: region('month'),
       commit: 'partition',
       checks: [noRows('no flight goes round the world', 'select id, distance from rows where distance > 10000')],
       target: postgres({ table: 'months', mode: 'replace', scope: 'partition' }),
       tolerate: { quarantined: 5 },`,
    ),
  );
  await flow.write('refused.ts', pipeline('refused', `target: postgres({ table: 'refused', mode: 'upsert', key: ['id'] }),`));
  client = await temporalClient();
  sluice = await connect({ address: sharedTemporalAddress(), taskQueue: flow.taskQueue });
  cleanups.push(() => sluice.close());
  await startWorker(flow);
});

const statusOf = async (id: string) => (await runsOf(url, id)).map((each) => each.status);

describe('a run that is committed as a whole', () => {
  let before: { rows: number; checksum: string };

  beforeAll(async () => {
    await resultOf(await startRun(client, flow, 'checked'));
    before = await contentOf(url, 'checked');
    expect(before).toEqual(await contentOf(url, 'checked_source'));
    await query(url, 'update checked_source set delay = delay + 1');
  });

  test('a check that fails names itself, counts and shows rows; nothing changes; a retry reads the mended rows', async () => {
    // Given rows that offend a check
    await query(url, 'update checked_source set distance = 99999 where id in (17, 4711, 20000)');
    // When the pipeline runs
    const handle = await startRun(client, flow, 'checked');
    const failure = await failureOf(handle);
    // Then it says so, and the target is as it was
    expect(failure).toMatchObject({
      type: 'CheckFailed',
      message: expect.stringContaining('check "no flight goes round the world" failed: 3 rows offend'),
    });
    expect(failure.message).toMatch(/"distance": ?99999/);
    expect(failure.message).toMatch(/"id": ?(17|4711|20000)/);
    expect((await handle.describe()).status.name).toBe('FAILED');
    expect(await contentOf(url, 'checked')).toEqual(before);
    expect(await statusOf(handle.workflowId)).toEqual(['failed']);
    // A retry without a mended cause fails again
    const vain = await sluice.retry(handle.workflowId);
    await expect(vain.result()).rejects.toMatchObject({ code: 'CheckFailed', status: 'failed' });
    expect(await contentOf(url, 'checked')).toEqual(before);
    // When the rows are mended, it is the same run that succeeds
    await query(url, 'update checked_source s set distance = f.distance from flights f where f.id = s.id');
    const retried = await (await sluice.retry(handle.workflowId)).result();
    expect(retried).toMatchObject({ status: 'succeeded', rowsLoaded: ROWS });
    expect(await contentOf(url, 'checked')).toEqual(await contentOf(url, 'checked_source'));
    expect(await runsOf(url, handle.workflowId)).toEqual([{ run_key: retried.runKey, status: 'succeeded' }]);
    expect(await leftovers(url)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
    before = await contentOf(url, 'checked');
  });

  test('more rows in quarantine than are tolerated: the reasons are told, nothing changes; a retry reads the mended rows', async () => {
    await query(url, 'update checked_source set delay = delay + 1');
    await query(url, 'update checked_source set distance = 2000000 where id between 1 and 6');
    const handle = await startRun(client, flow, 'checked');
    const failure = await failureOf(handle);
    expect(failure.type).toBe('TooManyQuarantined');
    expect(failure.message).toMatch(
      new RegExp(`6 of ${ROWS} rows are in quarantine, 5 are tolerated \\(6 × distance: .+\\)\\. Nothing was changed`),
    );
    expect(await contentOf(url, 'checked')).toEqual(before);
    // As many as are tolerated do not stop it
    await query(url, 'update checked_source set distance = 1 where id = 6');
    const retried = await (await sluice.retry(handle.workflowId)).result();
    expect(retried).toMatchObject({ rowsLoaded: ROWS - 5, rowsQuarantined: 5 });
    expect(await contentOf(url, 'checked')).toEqual(await contentOf(url, '(select * from checked_source where id > 5) as good'));
    await query(url, 'update checked_source s set distance = f.distance from flights f where f.id = s.id');
  });

  test('a failed run whose staging was collected can still be retried', async () => {
    await query(url, 'update checked_source set distance = 99999 where id = 1');
    const handle = await startRun(client, flow, 'checked');
    await failureOf(handle);
    await query(url, 'update checked_source set distance = 1 where id = 1');
    expect((await leftovers(url)).tables).toBe(1);
    await run(process.execPath, [CLI, 'clean', '--json'], { cwd: flow.folder, env: flow.env, timeout: 60_000 });
    expect(await leftovers(url)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
    await (await sluice.retry(handle.workflowId)).result();
    expect(await contentOf(url, 'checked')).toEqual(await contentOf(url, 'checked_source'));
  });
});

test('committed by partition: the good ones are in, the bad ones untouched and named; a retry commits only what is missing', async () => {
  await resultOf(await startRun(client, flow, 'months'));
  const month = (table: string, of: string) => contentOf(url, `(select * from ${table} where month in (${of})) as m`);
  // Every row's transaction: a partition that is written again shows.
  const written = (of: string) => contentOf(url, `(select xmin::text, * from months where month in (${of})) as m`);
  const good = `'2001-01','2001-03','2001-05','2001-06'`;
  const [february, april] = [await month('months', `'2001-02'`), await month('months', `'2001-04'`)];

  // Given new rows for all, an offending row in February, too many bad ones in April
  await query(url, 'update months_source set delay = delay + 1');
  await query(url, `update months_source set distance = 99999 where id = (select min(id) from months_source where month = '2001-02')`);
  await query(
    url,
    `update months_source set distance = 2000000 where id in (select id from months_source where month = '2001-04' limit 6)`,
  );

  // When the pipeline runs
  const handle = await startRun(client, flow, 'months');
  const failure = await failureOf(handle);

  // Then the two are named with the reason and untouched, and the others committed
  expect(failure.type).toBe('PartitionsStopped');
  expect(failure.message).toMatch(/^months: 2 of 6 partitions stopped: /);
  expect(failure.message).toMatch(/partition month=2001-02: .*check "no flight goes round the world" failed: 1 row offends/);
  expect(failure.message).toMatch(/partition month=2001-04: .*6 of 4000 rows are in quarantine, 5 are tolerated \(6 × distance/);
  expect((await handle.describe()).status.name).toBe('FAILED');
  expect(await month('months', good)).toEqual(await month('months_source', good));
  expect(await month('months', `'2001-02'`)).toEqual(february);
  expect(await month('months', `'2001-04'`)).toEqual(april);
  const first = await written(good);

  // When February is mended and retried, then it is committed alone, and the run says that April is left
  await query(url, 'update months_source s set distance = f.distance from flights f where f.id = s.id');
  const retry = run(process.execPath, [CLI, 'retry', handle.workflowId, '--partition', 'month=2001-02', '--json'], {
    cwd: flow.folder,
    env: flow.env,
    timeout: 60_000,
  });
  await expect(retry).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/1 of 6 partitions are not in the target yet.*sluice retry/),
  });
  expect(await month('months', `'2001-02'`)).toEqual(await month('months_source', `'2001-02'`));
  expect(await month('months', `'2001-04'`)).toEqual(april);
  const second = await written(`'2001-02'`);

  // When the rest is retried, then only that is written
  const { stdout } = await run(process.execPath, [CLI, 'retry', handle.workflowId, '--json'], {
    cwd: flow.folder,
    env: flow.env,
    timeout: 60_000,
  });
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    run: handle.workflowId,
    status: 'succeeded',
    rowsLoaded: ROWS,
  });
  expect(await contentOf(url, 'months')).toEqual(await contentOf(url, 'months_source'));
  expect(await written(good)).toEqual(first);
  expect(await written(`'2001-02'`)).toEqual(second);
  expect(await leftovers(url)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
});

test('rows that the target itself refuses change nothing, and are read again once either side is mended', async () => {
  // Given a constraint of the target that one row of the source offends
  await resultOf(await startRun(client, flow, 'refused'));
  await query(url, `alter table refused add constraint short_haul check (distance < 50000)`);
  const before = await contentOf(url, 'refused');
  await query(url, 'update refused_source set delay = delay + 1');
  await query(url, 'update refused_source set distance = 60000 where id = 99');
  const handle = await startRun(client, flow, 'refused');
  const failure = await failureOf(handle);
  expect(failure).toMatchObject({ type: 'DataRefused', message: expect.stringMatching(/short_haul.*Nothing was changed/s) });
  expect(await contentOf(url, 'refused')).toEqual(before);
  // When the row is mended, the retry takes the new one
  await query(url, 'update refused_source set distance = 600 where id = 99');
  await (await sluice.retry(handle.workflowId)).result();
  expect(await contentOf(url, 'refused')).toEqual(await contentOf(url, 'refused_source'));
  expect(await query(url, 'select distance from refused where id = 99')).toEqual([{ distance: 600 }]);
});
