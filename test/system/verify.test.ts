/** `sluice verify`: equal after a run by every way that rows take, and whatever is tampered with is named. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { VerifySummary } from '../../src/contracts/verification.ts';
import { BUILT_IN, createTable, createTypes, fillTable, OWN } from '../helpers/every-type.ts';
import { leftovers, stagingTables } from '../helpers/ledger.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { scene } from '../helpers/scene.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { CLI, type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 3_000;
const MONTHS = 6;

let source: string;
let target: string;
let flow: Project;
let client: Client;

const definition = (name: string, text: string) => `
import { column, csv, definePipeline, keyRange, postgres, sql } from 'sluice';
import { z } from 'zod';
const source = (options) => postgres({ url: '${source}', ...options });
const flight = z.object({ id: z.int(), month: z.string(), delay: z.int().min(-1000), distance: z.int() });
const line = z.object({ place: z.string(), visits: z.int().min(0) });
export default definePipeline({ name: '${name}', ${text} });`;

const PIPELINES: Record<string, string> = {
  months: `source: source({ table: 'flights' }), partitionBy: column('month'),
           target: postgres({ table: 'months', mode: 'replace', scope: 'table', key: ['id'] })`,
  one_month: `source: source({ query: "select * from flights where month = '2001-03'", key: ['id'] }), partitionBy: column('month'),
           target: postgres({ table: 'one_month', mode: 'replace', scope: 'partition', key: ['id'] })`,
  upserted: `source: source({ table: 'flights' }), incremental: { cursor: 'updated' }, partitionBy: keyRange('id', 1000),
           target: postgres({ table: 'upserted', mode: 'upsert', key: ['id'] })`,
  appended: `source: csv({ files: 'lines*.csv' }), row: line, target: postgres({ table: 'appended', mode: 'append' }), tolerate: { quarantined: 3 }`,
  by_chunk: `source: csv({ files: 'lines*.csv' }), row: line, commit: 'chunk', tolerate: { quarantined: 300 },
           target: postgres({ table: 'by_chunk', mode: 'append', key: ['place'] })`,
  checked: `source: source({ table: 'flights' }), row: flight, partitionBy: column('month'), tolerate: { quarantined: 5 },
           target: postgres({ table: 'checked', mode: 'replace', key: ['id'] })`,
  by_function: `source: source({ table: 'flights' }), row: flight, partitionBy: column('month'),
           transform: (row) => row.id % 10 === 0 ? null : { ...row, delay: row.delay + 1 },
           target: postgres({ table: 'by_function', mode: 'replace', key: ['id'] })`,
  by_sql: `source: source({ table: 'flights' }), partitionBy: column('month'),
           transform: sql\`select month, count(*) as flights, max(distance) as longest from staging group by month\`,
           target: postgres({ table: 'by_sql', mode: 'replace', key: ['month'] })`,
  by_sql_and_month: `source: source({ table: 'flights' }), partitionBy: column('month'), commit: 'partition',
           transform: sql\`select month, origin, count(*) as flights from staging group by month, origin\`,
           target: postgres({ table: 'by_sql_and_month', mode: 'upsert', key: ['month', 'origin'] })`,
  twice: `source: source({ query: 'select id % 7 as id, max(delay) as delay from flights group by 1 union all select 3, 0' }),
           target: postgres({ table: 'twice', mode: 'upsert', key: ['id'] }), tolerate: { quarantined: 1 }`,
  every_type: `source: source({ table: 'built_in' }), target: postgres({ table: 'every_type', mode: 'replace', key: ['id'] })`,
  own_types: `source: source({ table: 'own' }), target: postgres({ table: 'own_types', mode: 'append' })`,
  other_types: `source: source({ table: 'narrow' }), target: postgres({ table: 'wide', mode: 'append' })`,
};

beforeAll(async () => {
  [source, target] = await Promise.all([freshDatabase('verify_source'), freshDatabase('verify_target')]);
  await Promise.all([createTypes(source), createTypes(target, 7)]);
  await seedFlights(source, 'flights', ROWS);
  await createTable(source, 'built_in', BUILT_IN);
  await fillTable(source, 'built_in', BUILT_IN);
  await createTable(source, 'own', OWN);
  await fillTable(source, 'own', OWN);
  await createTable(target, 'own_types', OWN);
  await query(
    source,
    `create table narrow (a smallint, b integer, c bigint, d numeric, e numeric, f char(5), g varchar(9), h mood, i name, j timestamp, k real, l varchar(3)[]);
     insert into narrow values (1, 2, 3, 4.5678, 5.50, 'ab', 'c ', 'ok', 'n', '2001-01-01 01:02:03.456789', 1.5, '{a,b}'), (null, null, null, null, null, null, null, null, null, null, null, null)`,
  );
  await query(
    target,
    'create table wide (a numeric(9,2), b double precision, c numeric, d numeric(9,2), e double precision, f text, g char(7), h text, i varchar(70), j timestamp(3), k real, l varchar(9)[])',
  );
  flow = await project('verify', target);
  for (const [name, text] of Object.entries(PIPELINES)) await flow.write(`${name}.ts`, definition(name, text));
  await writeFile(join(flow.folder, 'lines-1.csv'), `place,visits\n${'home,1\n'.repeat(3)}${'away,2\n'.repeat(200)}nowhere,-1\n`);
  await writeFile(join(flow.folder, 'lines-2.csv'), 'place,visits\nhome,1\n"far, far away",3\n');
  client = await temporalClient();
  await startWorker(flow);
});

interface Verified {
  readonly status: number;
  readonly summary: VerifySummary;
}

/** By the CLI, as a person would. */
async function verify(run: WorkflowHandle, of = flow, ...options: string[]): Promise<Verified> {
  return await new Promise((done, fail) => {
    execFile(
      process.execPath,
      [CLI, 'verify', run.workflowId, '--json', ...options],
      { cwd: of.folder, env: of.env, timeout: 60_000 },
      (error, stdout, stderr) => {
        const answer = JSON.parse(stdout.trim().split('\n').at(-1) || '{}');
        if (answer.equal === undefined) fail(new Error(`${stdout}${stderr}`, { cause: error }));
        else done({ status: error ? Number(error.code) : 0, summary: answer });
      },
    );
  });
}

async function ran(name: string): Promise<WorkflowHandle> {
  const run = await startRun(client, flow, name);
  await resultOf(run);
  return run;
}

const differences = (onlyInSource: number, onlyInTarget: number, different: number) => ({ onlyInSource, onlyInTarget, different });
const EQUAL = { status: 0, summary: { equal: true, differences: differences(0, 0, 0), named: [], differing: [], stopped: [] } };
const key = (id: number | string) => JSON.stringify({ id: String(id) });

describe('PostgreSQL to PostgreSQL', () => {
  test('equal after the run; a value, a row missing and a row too many are named, by partition', async () => {
    const run = await ran('months');
    expect(await verify(run)).toMatchObject({
      ...EQUAL,
      summary: { ...EQUAL.summary, partitions: MONTHS, sourceRows: ROWS, targetRows: ROWS },
    });

    // When the target is tampered with
    await query(target, `update months set delay = delay + 1, origin = 'XXX' where id = 1`);
    await query(target, 'delete from months where id = 2');
    await query(target, `insert into months select 900001, month, delay, distance, origin, destination, updated from months where id = 3`);
    await query(
      target,
      `insert into months select 900002, '1999-12', delay, distance, origin, destination, updated from months where id = 3`,
    );
    const { status, summary } = await verify(run);

    // Then exactly that is named
    expect(status).toBe(1);
    expect(summary).toMatchObject({ equal: false, differences: differences(1, 2, 1), differingPartitions: 4 });
    expect([...summary.named].sort((a, b) => (a.row < b.row ? -1 : 1))).toEqual(
      [
        { partition: 'month=2001-01', difference: 'different', row: key(1), columns: ['delay', 'origin'] },
        { partition: 'month=2001-02', difference: 'onlyInSource', row: key(2), columns: [] },
        { partition: 'month=2001-03', difference: 'onlyInTarget', row: key(900_001), columns: [] },
        { partition: null, difference: 'onlyInTarget', row: key(900_002), columns: [] },
      ].sort((a, b) => (a.row < b.row ? -1 : 1)),
    );
    expect(summary.differing).toContainEqual({ name: 'month=2001-01', sourceRows: 500, targetRows: 500, ...differences(0, 0, 1) });
  });

  test('the source is tampered with', async () => {
    const run = await ran('one_month');
    await query(
      target,
      `insert into one_month select id + 900000, '1999-12', delay, distance, origin, destination, updated from one_month`,
    );
    // Rows of other partitions are none of the run's business
    expect(await verify(run)).toMatchObject(EQUAL);
    await query(source, `update flights set delay = 9999 where id = 9`);
    const { status, summary } = await verify(run);
    expect(status).toBe(1);
    expect(summary.named).toEqual([{ partition: 'month=2001-03', difference: 'different', row: key(9), columns: ['delay'] }]);
  });

  test('an upsert is compared by key: rows that the run did not bring are counted, and are no difference', async () => {
    const run = await ran('upserted');
    await query(
      target,
      `insert into upserted select id + 900000, month, delay, distance, origin, destination, updated from upserted where id <= 5`,
    );
    const equal = await verify(run);
    expect(equal).toMatchObject(EQUAL);
    expect(equal.summary.othersRows).toBe(5);
    await query(target, 'delete from upserted where id = 17; update upserted set distance = 0 where id = 18');
    const { status, summary } = await verify(run);
    expect(status).toBe(1);
    expect(summary).toMatchObject({ differences: differences(1, 0, 1), othersRows: 5 });
    expect(summary.named.map((each) => [each.row, each.difference, each.columns]).sort()).toEqual([
      [key(17), 'onlyInSource', []],
      [key(18), 'different', ['distance']],
    ]);
  });

  test.each([
    ['every_type', 'binary'],
    ['other_types', 'binary'],
    ['own_types', 'text'],
  ])('%s', async (name, transfer) => {
    const run = await ran(name);
    const [plan] = await query(target, `select plan ->> 'transfer' as transfer from sluice.runs where workflow_id = $1`, [run.workflowId]);
    expect(plan).toEqual({ transfer });
    expect(await verify(run)).toMatchObject(EQUAL);
  });
});

describe('rows that are made again', () => {
  test('chunks that went right into the target, which has refused keys that it had', async () => {
    const run = await ran('by_chunk');
    expect(await query(target, 'select place, visits::int from by_chunk order by 1')).toEqual([
      { place: 'away', visits: 2 },
      { place: 'far, far away', visits: 3 },
      { place: 'home', visits: 1 },
    ]);
    const equal = { ...EQUAL, summary: { ...EQUAL.summary, sourceRows: 3, targetRows: 3 } };
    expect(await verify(run)).toMatchObject(equal);
    await query(target, `delete from by_chunk where place = 'home'`);
    expect(await verify(run)).toMatchObject({ status: 1, summary: { differences: differences(1, 0, 0) } });
  });

  test('CSV, with rows in quarantine and rows that are there more than once', async () => {
    const run = await ran('appended');
    const quarantined = await query(target, 'select * from sluice.quarantine order by run_key, partition, chunk, ordinal');
    const equal = { ...EQUAL, summary: { ...EQUAL.summary, sourceRows: 205, targetRows: 205 } };
    expect(await verify(run)).toMatchObject(equal);
    expect(await verify(run, flow, '--read-again')).toMatchObject(equal);
    // Nothing is left of it, and nothing changed in the ledger
    expect(await leftovers(target)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
    expect(await query(target, 'select * from sluice.quarantine order by run_key, partition, chunk, ordinal')).toEqual(quarantined);

    // One of 200 equal rows is missing, one is there once more, one is changed
    await query(target, `delete from appended where ctid = (select min(ctid) from appended where place = 'away')`);
    await query(target, `insert into appended values ('home', 1)`);
    await query(target, `update appended set visits = 4 where place = 'far, far away'`);
    const { status, summary } = await verify(run);
    expect(status).toBe(1);
    // Another run may have brought what is more
    expect(summary).toMatchObject({ differences: differences(2, 0, 0), othersRows: 2 });
    expect(summary.named.map((each) => each.row).sort()).toEqual([
      '{"place":"away","visits":"2"}',
      '{"place":"far, far away","visits":"3"}',
    ]);
  });

  test('a file that changed since the run is said, not compared', async () => {
    const run = await ran('appended');
    await writeFile(join(flow.folder, 'lines-2.csv'), 'place,visits\nhome,1\n');
    const { status, summary } = await verify(run);
    expect(status).toBe(1);
    expect(summary).toMatchObject({ equal: false, stoppedCount: 1, differences: differences(0, 0, 0) });
    expect(summary.stopped[0]?.reason).toMatch(/File "lines-2\.csv" changed since the run was planned/);
  });

  test('a row schema that refuses rows, and rows with the same key', async () => {
    await query(source, 'update flights set delay = -2000 where id in (100, 101)');
    const checked = await ran('checked');
    expect(await verify(checked)).toMatchObject({ ...EQUAL, summary: { ...EQUAL.summary, sourceRows: ROWS - 2 } });
    await query(source, 'update flights set delay = 0 where id in (100, 101)');
    await query(target, 'update checked set delay = 7777 where id = 106');
    // What was refused may be loaded now, and is not there
    expect((await verify(checked)).summary.named.map((each) => each.row).sort()).toEqual([100, 101, 106].map(key));
    expect(await verify(await ran('twice'))).toMatchObject({ ...EQUAL, summary: { ...EQUAL.summary, sourceRows: 7 } });
  });

  test.each([
    ['by_function', 'update by_function set delay = delay - 1 where id = 11', { row: key(11), columns: ['delay'] }],
    ['by_sql', `update by_sql set longest = 0 where month = '2001-05'`, { row: '{"month":"2001-05"}', columns: ['longest'] }],
    [
      'by_sql_and_month',
      `update by_sql_and_month set flights = 0 where month = '2001-05' and origin = (select min(origin) from by_sql_and_month where month = '2001-05')`,
      { columns: ['flights'] },
    ],
  ])('%s: what the transform makes is compared', async (name, tampering, named) => {
    const run = await ran(name);
    expect(await verify(run)).toMatchObject(EQUAL);
    expect(await verify(run, flow, '--read-again')).toMatchObject(EQUAL);
    await query(target, tampering);
    expect(await verify(run)).toMatchObject({ status: 1, summary: { differences: differences(0, 0, 1), named: [named] } });
  });
});

test('Parquet, and a worker that is killed in the middle', async () => {
  const { url, flow: flights, rows, refused } = await scene('verify_flights');
  const doomed = await startWorker(flights, { faults: 'verify:copied@9=kill' });
  const run = await startRun(client, flights, 'flights');
  await resultOf(run);
  const verified = verify(run, flights, '--read-again');
  await doomed.ended;
  await startWorker(flights);
  const equal = { ...EQUAL, summary: { ...EQUAL.summary, partitions: 4, sourceRows: rows - refused } };
  expect(await verified).toMatchObject(equal);
  // What the load recorded says the same
  expect(await verify(run, flights)).toMatchObject(equal);
  expect(await stagingTables(url)).toEqual([]);
});

test('a run that has loaded nothing, and one that is not there', async () => {
  const run = await startRun(client, flow, 'appended', {}, 'verify-nothing');
  await run.cancel();
  await run.result().catch(() => {});
  await expect(verify(run)).rejects.toThrow(/nothing to verify|is not in the ledger/);
  await expect(verify(client.workflow.getHandle('no-such-run'))).rejects.toThrow(/there is no run|UnknownRun|not found/);
});
