/** PostgreSQL 15, the oldest target, with a PgBouncer in transaction mode before it, as source and as target. */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { Database } from '../../src/connectors/postgres/database.ts';
import { startPostgresServer } from '../../src/local/postgres-server.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { attemptsAt, failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { query, temporalClient, temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';

const DEBIAN = '/usr/lib/postgresql/15/bin';

const PIPELINES = `
import { column, definePipeline, noRows, postgres, sql } from 'sluice';
import { z } from 'zod';
const source = postgres({ table: 'orders' });
const chunk = { rows: 500 };
const row = z.object({ id: z.int(), region: z.string(), total: z.number(), changed: z.date() });
export default [
  definePipeline({ name: 'upserted', source, chunk, row, partitionBy: column('region'), incremental: { cursor: 'changed' },
    checks: [noRows('none is negative', 'select * from rows where total < 0')],
    target: postgres({ table: 'upserted', mode: 'upsert', key: ['id'] }) }),
  definePipeline({ name: 'replaced', source, chunk, partitionBy: column('region'), commit: 'partition',
    target: postgres({ table: 'replaced', mode: 'replace', scope: 'partition' }) }),
  definePipeline({ name: 'appended', source, chunk: { rows: 20 }, transform: sql\`select id, total * 2 as double from staging\`,
    target: postgres({ table: 'appended', mode: 'append' }) }),
  definePipeline({ name: 'elsewhere', params: z.object({ url: z.string() }), source: ({ url }) => postgres({ url, table: 'orders' }),
    target: postgres({ table: 'elsewhere', mode: 'append' }) }),
];`;

let url: string;
let bouncer: PgBouncer;
let flow: Project;
let client: Client;

beforeAll(async () => {
  const folder = await temporaryFolder('postgres-15');
  const server = await startPostgresServer({
    folder: join(folder, 'data'),
    logFile: join(folder, 'log'),
    binaries: { postgres: `${DEBIAN}/postgres`, initdb: `${DEBIAN}/initdb`, locale: ['--locale', 'C.UTF-8'] },
    settings: { fsync: 'off' },
  });
  cleanups.push(() => server.stop('immediate'));
  url = server.url;
  expect(await query(url, `select current_setting('server_version_num')::int / 10000 as version`)).toEqual([{ version: 15 }]);
  await query(
    url,
    `create table orders (id int primary key, region text not null, total numeric not null, changed timestamptz not null default now());
     insert into orders select i, 'r' || i % 4, i * 1.25 from generate_series(1, 20000) i;
     create table replaced (like orders);
     insert into replaced select i, 'r1', -1, now() from generate_series(1, 10) i;
     insert into replaced values (0, 'another', 0, now())`,
  );
  bouncer = await startPgBouncer(url);
  flow = await project('pgbouncer', bouncer.through(url));
  await flow.write('orders.ts', PIPELINES);
  client = await temporalClient();
}, 60_000);

test('upsert: a worker killed in the middle, another goes on through the pooler', async () => {
  // Given a worker that dies in the middle
  const doomed = await startWorker(flow, { faults: 'chunk:before-commit@9=kill' });
  const run = await startRun(client, flow, 'upserted');
  expect(await doomed.ended).toBe('SIGKILL');

  // When another takes over, then the target is exactly the source
  const worker = await startWorker(flow);
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 20_000, partitions: 4 });
  expect(await contentOf(url, 'upserted', 'id, region, total, changed')).toEqual(
    await contentOf(url, 'orders', 'id, region, total, changed'),
  );

  // And a second increment brings only what is new
  await query(url, `update orders set total = total + 1, changed = now() where id <= 100`);
  expect(await resultOf(await startRun(client, flow, 'upserted'))).toMatchObject({ rowsRead: 100, rowsLoaded: 100 });
  expect(await contentOf(url, 'upserted', 'id, region, total, changed')).toEqual(
    await contentOf(url, 'orders', 'id, region, total, changed'),
  );
  worker.kill('SIGTERM');
  await worker.ended;
});

test('replace: a worker that stands still with its transaction open is taken over from, and does no harm when it wakes up', async () => {
  // Given a worker that stands still while the pooler keeps its transaction open
  const asleep = await startWorker(flow, { faults: 'chunk:before-commit@5=stop' });
  const run = await startRun(client, flow, 'replaced');
  await until('a transaction is open and idle', async () => {
    const [row] = await query<{ open: number }>(
      url,
      `select count(*)::int as open from pg_stat_activity where state = 'idle in transaction' and xact_start < now() - interval '1 second'`,
    );
    return (row?.open ?? 0) > 0;
  });

  // When another worker takes over, and the first wakes up in the middle of that
  const worker = await startWorker(flow);
  await until(
    'it has taken over',
    async () => (await query(url, 'select from sluice.fences where starts_with(run_key, $1) and epoch > 1', [run.workflowId])).length > 0,
  );
  asleep.kill('SIGCONT');

  // Then the target is exactly the source, and what is not in its partitions has stayed
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 20_000, partitions: 4 });
  expect(await contentOf(url, `replaced where region <> 'another'`)).toEqual(await contentOf(url, 'orders'));
  expect(await query(url, `select id from replaced where region = 'another'`)).toEqual([{ id: 0 }]);
  for (const each of [asleep, worker]) each.kill('SIGTERM');
  await Promise.all([asleep.ended, worker.ended]);
});

test('the pooler itself is killed in the middle and started again', async () => {
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'appended');
  await until(
    'it copies',
    async () => (await query(url, `select from sluice.chunks where starts_with(run_key, $1)`, [run.workflowId])).length > 0,
  );

  await bouncer.kill();
  await bouncer.start();

  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 20_000 });
  expect(await query(url, 'select count(*)::int as rows, count(distinct id)::int as ids from appended')).toEqual([
    { rows: 20_000, ids: 20_000 },
  ]);
  worker.kill('SIGTERM');
  await worker.ended;
});

test('a wrong password and a database that is not there are refused at once, behind the pooler too', async () => {
  const worker = await startWorker(flow);
  const refused: string[] = [];
  for (const change of [(to: URL) => (to.password = 'wrong'), (to: URL) => (to.pathname = '/nowhere')]) {
    const to = new URL(bouncer.through(url));
    change(to);
    const run = await startRun(client, flow, 'elsewhere', { url: to.href });
    refused.push((await failureOf(run)).type);
    expect(await attemptsAt(run, 'planRun')).toBe(1);
  }
  expect(refused).toEqual(['AuthenticationFailed', 'MissingDatabase']);
  worker.kill('SIGTERM');
  await worker.ended;
});

test('a pooler in statement mode is refused at once', async () => {
  const worker = await startWorker(flow);
  const statements = await startPgBouncer(url, 'statement');
  const run = await startRun(client, flow, 'elsewhere', { url: statements.through(url) });
  const failure = await failureOf(run);
  expect(failure.type).toBe('NotSupported');
  expect(failure.message).toMatch(/source postgres:.*statement pooling mode.* The server, or the pooler before it, cannot do this/);
  expect(await attemptsAt(run, 'planRun')).toBe(1);
  worker.kill('SIGTERM');
  await worker.ended;
});

test('a statement behind a pooler that hangs fails', async () => {
  const hanging = await startPgBouncer(url);
  const database = new Database('target', hanging.through(url));
  cleanups.push(() => database.close());
  const waiting = database.transaction(async (client) => {
    const asked = client.query('select pg_sleep(1)');
    hanging.freeze();
    await asked;
  });
  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
}, 90_000);

test('a statement that waits for a session of the pooler is waited for', async () => {
  const full = await startPgBouncer(url, 'transaction', 1);
  const [holds, waits] = [new Database('target', full.through(url)), new Database('target', full.through(url))];
  for (const database of [holds, waits]) {
    cleanups.push(() => database.close());
    await database.query('select 1');
  }
  const held = holds.query('select pg_sleep(40)');
  expect(await waits.query(`select 'done' as it`)).toEqual([{ it: 'done' }]);
  await held;
}, 90_000);
