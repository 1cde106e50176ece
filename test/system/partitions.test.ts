/** Very many partitions: bounded staging, bounded histories, small payloads. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { contentOf } from '../helpers/checksum.ts';
import { executionSizes } from '../helpers/histories.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

const FLIGHTS = join(__dirname, '../../node_modules/vega-datasets/data/flights-200k.json');
const MEGABYTE = 1024 * 1024;

/** The first `rows` flights of the real data, numbered. */
async function givenFlights(url: string, rows: number): Promise<void> {
  await query(url, 'create table source (id bigint primary key, delay integer, distance integer, "time" double precision)');
  await query(
    url,
    `insert into source select ordinality, (f ->> 'delay')::int, (f ->> 'distance')::int, (f ->> 'time')::float8
     from json_array_elements($1::json) with ordinality as x (f, ordinality) where ordinality <= $2`,
    [await readFile(FLIGHTS, 'utf8'), rows],
  );
  await query(url, 'analyze source');
}

/** The most staging tables that were there at one time while the run went on. */
async function mostStagingTables(url: string, run: WorkflowHandle): Promise<number> {
  let most = 0;
  let over = false;
  run.result().finally(() => {
    over = true;
  });
  while (!over) {
    const [row] = await query<{ tables: number }>(
      url,
      `select count(*)::int as tables from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'sluice_staging'`,
    );
    most = Math.max(most, row?.tables ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return most;
}

const pipeline = (rows: number, extra: string) => `
import { definePipeline, keyRange, postgres } from 'sluice';
export default definePipeline({
  name: 'flights',
  source: postgres({ table: 'source' }),
  partitionBy: keyRange('id', ${rows}),
  target: postgres({ table: 'target', mode: 'append', key: ['id'] }),
  concurrency: 20,
  ${extra}
});`;

test('5,000 partitions: all rows arrive, with two staging tables at most and short histories', async () => {
  const url = await freshDatabase('partitions');
  await givenFlights(url, 100_000);
  const flow = await project('partitions', url);
  await flow.write('flights.ts', pipeline(20, ''));
  const client = await temporalClient();
  await startWorker(flow);

  const began = Date.now();
  const run = await startRun(client, flow, 'flights');
  const [summary, stagingTables] = await Promise.all([resultOf(run), mostStagingTables(url, run)]);
  const seconds = (Date.now() - began) / 1000;

  expect(summary).toMatchObject({ partitions: 5_000, rowsRead: 100_000, rowsLoaded: 100_000, chunks: 5_000 });
  expect(await contentOf(url, 'target')).toEqual(await contentOf(url, 'source'));
  expect(stagingTables).toBeGreaterThanOrEqual(1);
  expect(stagingTables).toBeLessThanOrEqual(2);

  const sizes = await executionSizes(client, run.workflowId);
  console.log(`5,000 partitions in ${seconds.toFixed(1)} s`);
  expect(sizes.map((size) => size.workflowId)).toEqual(
    expect.arrayContaining([run.workflowId, `${run.workflowId}/extract`, `${run.workflowId}/transform`, `${run.workflowId}/load`]),
  );
  expect(Math.max(...sizes.map((size) => size.bytes))).toBeLessThan(10 * MEGABYTE);
  expect(Math.max(...sizes.map((size) => size.events))).toBeLessThan(20_000);
  expect(Math.max(...sizes.map((size) => size.largestPayload))).toBeLessThan(64 * 1024);
}, 500_000);

test('hundreds of partitions, each committed by itself', async () => {
  const url = await freshDatabase('partition_commits');
  await givenFlights(url, 6_000);
  const flow = await project('partition-commits', url);
  await flow.write('flights.ts', pipeline(19, `commit: 'partition',`));
  const client = await temporalClient();
  await startWorker(flow);

  const run = await startRun(client, flow, 'flights');
  const [summary, stagingTables] = await Promise.all([resultOf(run), mostStagingTables(url, run)]);

  expect(summary).toMatchObject({ partitions: 316, rowsRead: 6_000, rowsLoaded: 6_000 });
  expect(await contentOf(url, 'target')).toEqual(await contentOf(url, 'source'));
  expect(stagingTables).toBeLessThanOrEqual(2);
  const commits = await query<{ commits: number; transactions: number }>(
    url,
    `select count(*)::int as commits, count(distinct xmin::text)::int as transactions from sluice.commits where unit like 'load:%'`,
  );
  expect(commits).toEqual([{ commits: 316, transactions: 316 }]);
}, 120_000);
