/** Two runs of one pipeline at once. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import { connect, type SluiceClient } from '../../src/client/index.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { type Gate, gateAt } from '../helpers/gate.ts';
import { createLedger, runsOf } from '../helpers/ledger.ts';
import { progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, sharedTemporalAddress, temporalBinary, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { CLI, type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 24_000;
const run = promisify(execFile);

let url: string;
let flow: Project;
let client: Client;
let sluice: SluiceClient;
/** Where a chunk is recorded: a run that waits here is planned, and has committed nothing. */
let chunks: Gate;

const incremental = (name: string, target: string, chunkRows = 100_000) => `
import { definePipeline, postgres } from 'sluice';
export default definePipeline({
  name: '${name}',
  source: postgres({ table: '${name}_source' }),
  incremental: { cursor: 'updated' },
  target: postgres({ table: '${name}', ${target} }),
  chunk: { rows: ${chunkRows} },
});`;

/** Loads all flights, each row saying which run has loaded it. */
const versioned = (name: string, partitioned: string, target: string) => `
import { definePipeline, postgres, region } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  params: z.object({ version: z.string() }),
  source: ({ version }) => postgres({ query: "select id, month, delay, '" + version + "'::text as version from flights", key: ['id'] }),
  ${partitioned}
  target: postgres({ ${target} }),
});`;

beforeAll(async () => {
  url = await freshDatabase('two_runs');
  await createLedger(url);
  chunks = await gateAt(url, 'sluice.chunks');
  await seedFlights(url, 'flights', ROWS);
  flow = await project('two-runs', url);
  for (const name of ['upserted', 'appended', 'overtaken', 'boundary'])
    await query(url, `create table ${name}_source (like flights including all)`);
  await query(url, 'insert into upserted_source select * from flights; insert into appended_source select * from flights');
  await query(url, 'insert into overtaken_source select * from flights where id <= 5000');
  await flow.write('upserted.ts', incremental('upserted', `mode: 'upsert', key: ['id']`));
  await flow.write('overtaken.ts', incremental('overtaken', `mode: 'upsert', key: ['id']`));
  await flow.write('appended.ts', incremental('appended', `mode: 'append'`));
  await flow.write('boundary.ts', incremental('boundary', `mode: 'append'`, 100));
  await flow.write('overlapping.ts', versioned('overlapping', '', `table: 'overlapping', mode: 'upsert', key: ['id']`));
  await flow.write('overlapping-too.ts', versioned('overlapping-too', '', `table: 'public.overlapping', mode: 'upsert', key: ['id']`));
  await flow.write(
    'months.ts',
    versioned('months', `partitionBy: region('month'),`, `table: 'months', mode: 'replace', scope: 'partition'`),
  );
  await flow.write(
    'each-month.ts',
    versioned(
      'each-month',
      `partitionBy: region('month'), commit: 'partition',`,
      `table: 'each_month', mode: 'replace', scope: 'partition'`,
    ),
  );
  client = await temporalClient();
  sluice = await connect({ address: sharedTemporalAddress(), taskQueue: flow.taskQueue });
  cleanups.push(() => sluice.close());
  await startWorker(flow);
});

const watermarkOf = async (pipeline: string) =>
  (
    await query<{ value: string[]; at: string }>(url, 'select value, committed_at::text as at from sluice.watermarks where pipeline = $1', [
      pipeline,
    ])
  )[0];
const newest = async (table: string) =>
  (await query<{ id: string }>(url, `select id::text from ${table} order by updated desc, id desc limit 1`))[0]?.id;

describe.each(['upserted', 'appended'])('three incremental runs at once, %s', (pipeline) => {
  test('each row arrives once, and the watermark is that of the newest', async () => {
    // Given three runs that are planned on the same watermark, none of them committed
    await chunks.close();
    const runs = await Promise.all([1, 2, 3].map(() => startRun(client, flow, pipeline)));
    await chunks.waiting(3);

    // When they go on together
    await chunks.open();
    const summaries = await Promise.all(runs.map(resultOf));

    // Then one has loaded everything, and the others planned again and found nothing new
    expect(summaries.map((summary) => summary.rowsLoaded).sort((a, b) => a - b)).toEqual([0, 0, ROWS]);
    expect(await contentOf(url, pipeline)).toEqual(await contentOf(url, `${pipeline}_source`));
    const plans = (await Promise.all(runs.map((each) => runsOf(url, each.workflowId)))).map((of) =>
      of.map((each) => each.status).join(' '),
    );
    expect(plans.sort()).toEqual(['succeeded', 'superseded succeeded', 'superseded succeeded']);
    expect((await watermarkOf(pipeline))?.value[1]).toBe(await newest(`${pipeline}_source`));
  });
});

test('a run that was overtaken does not put older rows over newer ones', async () => {
  // Given a run that has extracted and is paused, and rows that changed since then
  await chunks.close();
  const slow = await startRun(client, flow, 'overtaken');
  await chunks.waiting();
  await slow.signal('pause');
  await until('the run is paused', async () => (await progressOf(slow)).status === 'paused');
  await chunks.open();
  await until('it has extracted', async () => (await progressOf(slow)).partitions.extracted === 1);
  await query(url, `update overtaken_source set delay = delay + 1000, updated = now() where id % 10 = 0`);

  // When another run overtakes it and it goes on then
  const fast = await resultOf(await startRun(client, flow, 'overtaken'));
  const high = await watermarkOf('overtaken');
  expect(await contentOf(url, 'overtaken')).toEqual(await contentOf(url, 'overtaken_source'));
  await slow.signal('resume');
  const late = await resultOf(slow);

  // Then the newer rows and the newer watermark have stayed
  expect(fast.rowsLoaded).toBe(5000);
  expect(late).toMatchObject({ rowsLoaded: 0, watermark: high?.value });
  expect(late.runKey).toMatch(/\+1$/);
  expect(await contentOf(url, 'overtaken')).toEqual(await contentOf(url, 'overtaken_source'));
  expect(await watermarkOf('overtaken')).toEqual(high);
});

test('two pipelines that upsert the same keys at once: the rows are those of one, whole', async () => {
  // Given two runs that are ready to load the same keys into one table, which they name differently
  await query(url, 'create table overlapping (id bigint primary key, month text not null, delay integer not null, version text)');
  await query(url, `insert into overlapping select id, month, delay, 'old' from flights where id % 2 = 0`);
  await chunks.close();
  const runs = [
    await startRun(client, flow, 'overlapping', { version: 'one' }),
    await startRun(client, flow, 'overlapping-too', { version: 'two' }),
    await startRun(client, flow, 'overlapping', { version: 'three' }),
  ];
  await chunks.waiting(3);
  await chunks.open();
  const summaries = await Promise.all(runs.map(resultOf));
  expect(summaries.map((summary) => summary.rowsLoaded)).toEqual([ROWS, ROWS, ROWS]);
  const versions = await query<{ version: string; rows: number }>(url, 'select version, count(*)::int as rows from overlapping group by 1');
  expect(versions).toEqual([{ version: expect.stringMatching(/^(one|two|three)$/), rows: ROWS }]);
  expect(await contentOf(url, 'overlapping', 'id, month, delay')).toEqual(await contentOf(url, 'flights', 'id, month, delay'));
});

test.each(['months', 'each-month'])(
  'two runs that replace the same partitions at once (%s): each is whole, of one run',
  async (pipeline) => {
    const table = pipeline.replace('-', '_');
    await resultOf(await startRun(client, flow, pipeline, { version: 'old' }));
    await chunks.close();
    const runs = [await startRun(client, flow, pipeline, { version: 'one' }), await startRun(client, flow, pipeline, { version: 'two' })];
    await chunks.waiting(8);
    await chunks.open();
    await Promise.all(runs.map(resultOf));
    const months = await query<{ month: string; rows: number; versions: number; old: boolean }>(
      url,
      `select month, count(*)::int as rows, count(distinct version)::int as versions, bool_or(version = 'old') as old from ${table} group by 1 order by 1`,
    );
    expect(months).toEqual([1, 2, 3, 4, 5, 6].map((month) => ({ month: `2001-0${month}`, rows: ROWS / 6, versions: 1, old: false })));
    const versions = await query(url, `select distinct version from ${table}`);
    if (pipeline === 'months') expect(versions).toHaveLength(1);
  },
);

test('rows at the boundary of an increment neither repeat nor vanish, and open transactions hold it back', async () => {
  const loaded = async () =>
    (await query<{ ids: number[] }>(url, 'select array_agg(id::int order by id) as ids from boundary'))[0]?.ids ?? [];
  const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const insert = (from: number, to: number, updated: string) =>
    query(
      url,
      `insert into boundary_source select id, month, delay, distance, origin, destination, ${updated} from flights where id between ${from} and ${to}`,
    );

  // Given several chunks of rows with one cursor value
  await insert(1, 350, `'2001-01-01 00:00:00+00'`);
  const first = await resultOf(await startRun(client, flow, 'boundary'));
  expect(first).toMatchObject({ rowsLoaded: 350, watermark: ['2001-01-01 00:00:00+00', '350'], chunks: 4 });

  // When more rows with that very value come, then those and no others are loaded
  await insert(351, 500, `'2001-01-01 00:00:00+00'`);
  expect(await resultOf(await startRun(client, flow, 'boundary'))).toMatchObject({ rowsLoaded: 150 });
  expect(await loaded()).toEqual(ids(1, 500));

  // Given a transaction that is open, and rows that others have committed since it began, one of them with its very time
  await query(url, 'create table meanwhile (began timestamptz)');
  const open = await openTransaction(url, `insert into meanwhile select now() returning began::text`);
  await open.ask(
    `insert into boundary_source select id, month, delay, distance, origin, destination, now() from flights where id between 601 and 610`,
  );
  await insert(511, 520, `'${open.answer}'`);
  await insert(521, 530, 'clock_timestamp()');
  await insert(501, 510, `'2001-01-01 00:00:00.000001+00'`);
  // Then a run stops below it
  expect(await resultOf(await startRun(client, flow, 'boundary'))).toMatchObject({ rowsLoaded: 10 });
  expect(await loaded()).toEqual(ids(1, 510));
  // And the next run brings what it committed and what had to wait for it
  await open.commit();
  expect(await resultOf(await startRun(client, flow, 'boundary'))).toMatchObject({ rowsLoaded: 30 });
  expect(await loaded()).toEqual([...ids(1, 530), ...ids(601, 610)]);

  // When there is nothing new, then a run succeeds, loads nothing and leaves the watermark alone
  const watermark = await watermarkOf('boundary');
  const empty = await resultOf(await startRun(client, flow, 'boundary'));
  expect(empty).toMatchObject({
    status: 'succeeded',
    rowsLoaded: 0,
    rowsRead: 0,
    partitions: 0,
    unchanged: true,
    watermark: watermark?.value,
  });
  expect(await watermarkOf('boundary')).toEqual(watermark);
});

test('a running id is attached to, a closed one is a new run', async () => {
  // Given a run that is under way
  const id = `attach-${Date.now().toString(36)}`;
  await chunks.close();
  const first = await sluice.start('months', { id, params: { version: 'first' } });
  await chunks.waiting();

  // When it is started again by the client, by `sluice run` and by Temporal's CLI
  const second = await sluice.start('months', { id, params: { version: 'second' } });
  const command = run(process.execPath, [CLI, 'run', 'months', '--id', id, '--param', 'version=third', '--detach', '--json'], {
    cwd: flow.folder,
    env: flow.env,
    timeout: 60_000,
  });
  const { stdout } = await command;
  const plain = await run(
    temporalBinary(),
    [
      'workflow',
      'start',
      '--output',
      'json',
      '--type',
      'pipeline',
      '--task-queue',
      flow.taskQueue,
      '--workflow-id',
      id,
      '--input',
      '{"pipeline":"months","params":{"version":"fourth"}}',
    ],
    { env: flow.env, timeout: 60_000 },
  );

  // Then all are attached to it (Temporal's CLI names the execution that runs)
  expect([first.attached, second.attached]).toEqual([false, true]);
  expect(JSON.parse(stdout)).toMatchObject({ run: id, attached: true });
  expect(JSON.parse(plain.stdout)).toMatchObject({ workflowId: id, runId: (await first.describe()).runId });
  await expect(sluice.start('each-month', { id, params: { version: 'x' } })).rejects.toMatchObject({ code: 'RunIdTaken' });
  await chunks.open();
  const [one, two] = await Promise.all([first.result(), second.result()]);
  expect(two).toEqual(one);
  expect(await query(url, 'select distinct version from months')).toEqual([{ version: 'first' }]);
  expect(await runsOf(url, id)).toEqual([{ run_key: one.runKey, status: 'succeeded' }]);

  // When the closed id is started again, then it is a run of its own
  const again = await sluice.start('months', { id, params: { version: 'again' } });
  expect(again.attached).toBe(false);
  const other = await again.result();
  expect(other.runKey).not.toBe(one.runKey);
  expect(await query(url, 'select distinct version from months')).toEqual([{ version: 'again' }]);
  expect((await runsOf(url, id)).map((each) => each.status)).toEqual(['succeeded', 'succeeded']);
});

async function openTransaction(database: string, first: string) {
  const session = new pg.Client({ connectionString: database });
  await session.connect();
  cleanups.push(() => session.end());
  await session.query('begin');
  const { rows } = await session.query(first);
  return {
    answer: Object.values(rows[0] as Record<string, string>)[0] ?? '',
    ask: (text: string) => session.query(text),
    commit: () => session.query('commit'),
  };
}
