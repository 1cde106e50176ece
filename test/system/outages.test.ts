/** What passes by itself: the run waits, says what it waits for, and goes on when it is over. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import { Database } from '../../src/connectors/postgres/database.ts';
import { TransientError } from '../../src/errors.ts';
import { type PostgresServer, startPostgresServer } from '../../src/local/postgres-server.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { pendingFailures, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient, temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const COPY = `
import { definePipeline, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: 'copy',
  params: z.object({ source: z.string().optional(), target: z.string().optional() }),
  source: ({ source }) => postgres({ url: source, table: 'orders' }),
  target: ({ target }) => postgres({ url: target, table: 'copied', mode: 'append' }),
});`;

let url: string;
let flow: Project;
let client: Client;

beforeAll(async () => {
  url = await freshDatabase('outages');
  await query(
    url,
    `create table orders (id int primary key, total numeric);
     insert into orders select i, i * 1.5 from generate_series(1, 100) i;
     create table copied (id int, total numeric)`,
  );
  flow = await project('outages', url);
  await flow.write('copy.ts', COPY);
  client = await temporalClient();
  await startWorker(flow);
}, 60_000);

const waitsFor = (workflowId: string, message: RegExp) =>
  until(`${workflowId} waits because of ${message}`, async () =>
    (await pendingFailures(client, workflowId)).some((each) => message.test(each)),
  );

test('a target that is down, and then starting up, is waited for', async () => {
  // Given a target that does not run
  const folder = await temporaryFolder('down');
  const options = { folder: join(folder, 'data'), logFile: join(folder, 'log'), settings: { fsync: 'off' } };
  let server: PostgresServer = await startPostgresServer(options);
  cleanups.push(() => server.stop('immediate'));
  await server.stop('fast');

  // When a run is started
  const run = await startRun(client, flow, 'copy', { target: server.url });

  // Then it says what it waits for
  const { host, pathname } = new URL(server.url);
  await waitsFor(run.workflowId, new RegExp(`target postgres://${host}${pathname}: .*ECONNREFUSED.* Check that the server runs`));

  // And goes on waiting while the server starts up (a standby that lets nobody in answers as a starting server does)
  await writeFile(join(server.dataFolder, 'standby.signal'), '', { mode: 0o644 });
  const seen = new AbortController();
  const starting = startPostgresServer({ ...options, port: server.port, settings: { hot_standby: 'off' }, signal: seen.signal });
  await waitsFor(run.workflowId, /the database system is (starting up|not accepting connections|not yet accepting connections)/);
  seen.abort(new Error('it was seen'));
  await expect(starting).rejects.toThrow('it was seen');
  expect((await run.describe()).status.name).toBe('RUNNING');

  // And goes on by itself once it is there
  await rm(join(server.dataFolder, 'standby.signal'));
  server = await startPostgresServer({ ...options, port: server.port });
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 100 });
  expect(await query(server.url, 'select count(*)::int as rows from copied')).toEqual([{ rows: 100 }]);
});

test('a source without room for another connection is waited for', async () => {
  // Given a role that may not open a connection at the moment
  const role = `reader_${process.pid}`;
  await query(url, `create role ${role} login password 'reader' connection limit 0; grant select on orders to ${role}`);
  cleanups.push(() => query(url, `drop owned by ${role}; drop role ${role}`));
  const source = new URL(url);
  source.username = role;
  source.password = 'reader';

  // When a run is started, then it says what it waits for
  const run = await startRun(client, flow, 'copy', { source: source.href });
  await waitsFor(run.workflowId, new RegExp(`source postgres://.*too many connections for role "${role}".* It goes on when there is room`));

  // And goes on when there is room
  await query(url, `alter role ${role} connection limit -1`);
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 100 });
});

test('a target that somebody else has locked is waited for', async () => {
  // Given a session that holds the target
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query('begin; lock table copied in access exclusive mode');

  // When a run comes to its commit, then it says what it waits for
  const run = await startRun(client, flow, 'copy');
  await waitsFor(`${run.workflowId}/load`, /target postgres:.*lock timeout.* Another session holds the lock/);

  // And goes on when the session lets go
  await holder.query('rollback');
  await holder.end();
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 100 });
});

test('a lock that others hold is never counted as lack of progress', async () => {
  // Given a table that somebody has locked
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query('begin; lock table copied in access exclusive mode');
  const database = new Database('target', url);

  // When a transaction waits for it in vain
  const refused = await database
    .transaction((waiting) => waiting.query('select from copied'), { lockTimeoutMs: 20 })
    .catch((error: unknown) => error as TransientError);

  // Then its failure is blameless
  expect(refused).toBeInstanceOf(TransientError);
  expect(refused).toMatchObject({ code: 'DatabaseUnavailable', blameless: true });
  await holder.end();
  await database.close();
});
