/** `commit: 'chunk'`: each chunk goes right into the target and is there at once; whatever dies, no row is lost or there twice. */
import type { Client } from '@temporalio/client';
import { connect } from '../../src/client/index.ts';
import type { RunSummary } from '../../src/contracts/run.ts';
import { startPostgresServer } from '../../src/local/postgres-server.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { gateAt } from '../helpers/gate.ts';
import { createLedger, leftovers, runsOf, stagingTables } from '../helpers/ledger.ts';
import { startProxy } from '../helpers/proxy.ts';
import { failureOf, progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, sharedTemporalAddress, temporalClient, temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(120_000);

const ROWS = 24_000;
const NOTHING_LEFT = { tables: 0, chunks: 0, transforms: 0, fences: 0 };

const PIPELINES = `
import { definePipeline, keyRange, postgres } from 'sluice';
import { z } from 'zod';
const common = { commit: 'chunk', partitionBy: keyRange('id', 6_000), chunk: { rows: 1_000 } };
const source = postgres({ table: 'flights' });
const row = z.object({ id: z.bigint(), month: z.string(), delay: z.int().max(100_000), distance: z.int(), origin: z.string(), destination: z.string(), updated: z.date() });
export default [
  definePipeline({ ...common, name: 'made', source, target: postgres({ table: 'made', mode: 'append', key: ['id'] }) }),
  definePipeline({ ...common, name: 'plain', source, target: postgres({ table: 'plain', mode: 'append' }) }),
  definePipeline({ ...common, name: 'serial', source, target: postgres({ table: 'plain', mode: 'append' }), concurrency: 1 }),
  definePipeline({ ...common, name: 'tolerant', source, row, tolerate: { quarantined: 2 }, target: postgres({ table: 'tolerant', mode: 'append', key: ['id'] }) }),
  definePipeline({ ...common, name: 'unkeyed', source, target: postgres({ table: 'plain', mode: 'append', key: ['id'] }) }),
  definePipeline({ ...common, name: 'unlogged', source, target: postgres({ table: 'unlogged', mode: 'append' }) }),
  definePipeline({ ...common, name: 'triggered', source, target: postgres({ table: 'triggered', mode: 'append' }) }),
];`;

let client: Client;

/** A target with a plain table, and the project that fills it. */
async function given(name: string, url: string, shownTo: string = url): Promise<Project> {
  await seedFlights(url, 'flights', ROWS);
  await query(url, 'create table plain (like flights)');
  const flow = await project(name, shownTo);
  await flow.write('flights.ts', PIPELINES);
  return flow;
}

beforeAll(async () => {
  client = await temporalClient();
});

async function retried(flow: Project, run: string): Promise<RunSummary> {
  const sluice = await connect({ address: sharedTemporalAddress(), taskQueue: flow.taskQueue });
  cleanups.push(() => sluice.close());
  return await (await sluice.retry(run)).result();
}

const chunkFacts = (url: string) =>
  query<{ chunks: number; rows: number }>(url, 'select count(*)::int as chunks, sum(rows_staged)::int as rows from sluice.chunks');

test('chunks are seen as they are committed, in a table that is made with its key, and nothing is left', async () => {
  const url = await freshDatabase('chunk_commit');
  const flow = await given('chunk-commit', url);
  const worker = await startWorker(flow, { faults: 'chunk:after-commit@5=stop' });
  const run = await startRun(client, flow, 'made');
  await stoppedBy(flow, 'chunk:after-commit@5=stop', [worker]);

  // Readers see what the ledger says, and there is no staging.
  const [ledger] = await chunkFacts(url);
  expect(ledger?.chunks).toBeGreaterThanOrEqual(5);
  expect(await query(url, 'select count(*)::int as rows from made')).toEqual([{ rows: ledger?.rows }]);
  expect(await stagingTables(url)).toEqual([]);
  worker.kill('SIGCONT');

  expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, chunks: 24, partitions: 4, unchanged: false });
  expect(await contentOf(url, 'made')).toEqual(await contentOf(url, 'flights'));
  await expect(query(url, 'insert into made select * from flights limit 1')).rejects.toMatchObject({ code: '23505' });
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
  expect(await progressOf(run)).toMatchObject({ partitions: { committed: 4 }, rows: { loaded: ROWS } });
  worker.kill('SIGTERM');
});

test('a worker is killed before and after a commit, and connections break at it: all is there once', async () => {
  const url = await freshDatabase('chunk_commit_killed');
  const proxy = await startProxy(url);
  for (const how of ['unsent', 'unanswered'] as const) {
    proxy.breakCommit(/insert into sluice\.chunks /, how);
    proxy.breakCommit(/insert into sluice\.commits /, how);
  }
  const flow = await given('chunk-commit-killed', url, proxy.url);
  const faults = [
    'chunk:before-commit@7=kill',
    'chunk:after-commit@4=kill',
    'chunk:before-commit@3=drop',
    'chunk:before-commit@5=lose-answer',
  ];
  for (const fault of faults) await startWorker(flow, { faults: fault });
  await startWorker(flow);

  const run = await startRun(client, flow, 'plain');
  expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS });
  expect(await contentOf(url, 'plain')).toEqual(await contentOf(url, 'flights'));
  expect(proxy.unbroken()).toEqual([]);
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

test('PostgreSQL crashes in the middle: what is committed stays, and the run goes on behind it', async () => {
  const folder = await temporaryFolder('postgres');
  const server = await startPostgresServer({ folder });
  cleanups.push(() => server.stop('immediate'));
  const flow = await given('chunk-commit-crash', server.url);
  const worker = await startWorker(flow, { faults: 'chunk:before-commit@8=stop' });
  const run = await startRun(client, flow, 'plain');
  await stoppedBy(flow, 'chunk:before-commit@8=stop', [worker]);
  const [before] = await chunkFacts(server.url);
  await server.kill();
  const again = await startPostgresServer({ folder, port: server.port });
  cleanups.push(() => again.stop('immediate'));
  expect(await query(again.url, 'select count(*)::int as rows from plain')).toEqual([{ rows: before?.rows }]);
  worker.kill('SIGCONT');

  expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, chunks: 24 });
  expect(await contentOf(again.url, 'plain')).toEqual(await contentOf(again.url, 'flights'));
});

test('too many bad rows stop a partition before their chunk; mended, a retry goes on there', async () => {
  const url = await freshDatabase('chunk_commit_bad');
  const flow = await given('chunk-commit-bad', url);
  // Two are tolerated of a chunk; the third partition has three in its third chunk. The key refuses a row that is there already.
  await query(url, 'create table tolerant (like flights including all); insert into tolerant select * from flights where id = 3500');
  await query(url, 'update flights set delay = 100001 where id in (500, 501, 14100, 14200, 14300)');
  await startWorker(flow);
  const run = await startRun(client, flow, 'tolerant');
  const { message, type } = await failureOf(run);
  expect(type).toBe('PartitionsStopped');
  expect(message).toMatch(
    /tolerant: partition .*: 3 of 1000 rows of the next chunk are bad, 2 are tolerated \(3 × delay: .*\)\. The chunk was not committed/,
  );
  expect(message).toMatch(/The other partitions are committed, and of these the chunks before\. Then: sluice retry/);
  expect(await contentOf(url, 'tolerant')).toEqual(
    await contentOf(url, `(select * from flights where id not in (500, 501) and (id <= 14000 or id > 18000)) as f`),
  );
  const [{ run_key: key = '' } = {}] = await runsOf(url, run.workflowId);
  const quarantined = () =>
    query(url, `select "column", count(*)::int as rows from sluice.quarantine where run_key = '${key}' group by 1 order by 1`);
  expect(await quarantined()).toEqual([
    { column: 'delay', rows: 5 },
    { column: null, rows: 1 },
  ]);

  await query(url, 'update flights set delay = 1 where id = 14300');
  expect(await retried(flow, run.workflowId)).toMatchObject({ rowsLoaded: ROWS - 5, rowsQuarantined: 5 });
  expect(await contentOf(url, 'tolerant')).toEqual(await contentOf(url, '(select * from flights where delay <= 100000) as f'));
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

test('cancelled, it keeps what is committed and knows it: a retry adds the rest', async () => {
  const url = await freshDatabase('chunk_commit_cancelled');
  const flow = await given('chunk-commit-cancelled', url);
  await createLedger(url);
  const secondChunk = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 1' });
  await secondChunk.close();
  await startWorker(flow);
  const run = await startRun(client, flow, 'serial');
  await secondChunk.waiting();
  await run.cancel();
  await until('the stage is told', async () => {
    const { events } = await client.workflow.getHandle(`${run.workflowId}/extract`).fetchHistory();
    return events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes);
  });
  await secondChunk.open();
  await expect(run.result()).rejects.toThrow();
  const [kept] = await query<{ rows: number }>(url, 'select count(*)::int as rows from plain');
  expect(kept?.rows).toBeGreaterThan(0);
  expect(kept?.rows).toBeLessThan(ROWS);

  expect(await retried(flow, run.workflowId)).toMatchObject({ rowsLoaded: ROWS });
  expect(await contentOf(url, 'plain')).toEqual(await contentOf(url, 'flights'));
});

test('a target that could not keep the promise is refused', async () => {
  const url = await freshDatabase('chunk_commit_refused');
  const flow = await given('chunk-commit-refused', url);
  await query(url, 'create unlogged table unlogged (like flights)');
  await query(
    url,
    `create table triggered (like flights);
     create function drop_some() returns trigger language plpgsql as $$ begin return case when new.id % 2 = 0 then new end; end $$;
     create trigger drops before insert on triggered for each row execute function drop_some()`,
  );
  await startWorker(flow);
  const failures = {
    unkeyed:
      /table "plain" has no unique index on exactly \(id\), the key: where chunks go right into it.*CREATE UNIQUE INDEX ON "plain" \("id"\)/,
    unlogged: /table "unlogged" is unlogged: a crash of the server would empty it/,
    triggered: /8 attempts in a row.*gave 500 rows, and COPY wrote 250/,
  };
  const runs = await Promise.all(Object.keys(failures).map((name) => startRun(client, flow, name)));
  for (const [nth, pattern] of Object.values(failures).entries()) {
    expect((await failureOf(runs[nth] as (typeof runs)[number])).message).toMatch(pattern);
  }
  for (const table of ['plain', 'unlogged', 'triggered'])
    expect(await query(url, `select count(*)::int as rows from ${table}`)).toEqual([{ rows: 0 }]);
});
