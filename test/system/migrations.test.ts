/** Workers that start together on an empty database: the ledger is made once. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { project, startWorker } from '../helpers/workers.ts';

const DIST = join(__dirname, '../../dist/src');
const PROCESSES = 6;

/** A process that waits at the gate (a shared advisory lock, which the test holds) and then migrates. */
const MIGRATE = `
import { Database } from '${DIST}/connectors/postgres/database.js';
import { migrateLedger } from '${DIST}/ledger/migrations.js';
const database = new Database('target', process.env.URL);
await database.query('select pg_advisory_lock_shared(1)');
await migrateLedger(database);
await database.close();`;

test('several processes that migrate an empty database at the same moment run each migration once', async () => {
  // Given processes that all wait at the gate
  const url = await freshDatabase('migrations');
  const gate = new pg.Client({ connectionString: url });
  await gate.connect();
  await gate.query('select pg_advisory_lock(1)');
  const migrating = Promise.all(
    Array.from({ length: PROCESSES }, () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', MIGRATE], { env: { ...process.env, URL: url } }),
    ),
  );
  await until('all wait at the gate', async () => {
    const [row] = await query<{ waiting: number }>(
      url,
      `select count(*)::int as waiting from pg_locks where locktype = 'advisory' and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    );
    return row?.waiting === PROCESSES;
  });

  // When it opens
  await gate.query('select pg_advisory_unlock(1)');
  await migrating;
  await gate.end();

  // Then none has failed, and every migration has been run once
  expect(await query(url, 'select version, count(*)::int as times from sluice.migrations group by 1 order by 1')).toEqual([
    { version: 1, times: 1 },
    { version: 2, times: 1 },
    { version: 3, times: 1 },
    { version: 4, times: 1 },
  ]);
  expect(await query(url, `select count(*)::int as tables from pg_tables where schemaname = 'sluice'`)).toEqual([{ tables: 12 }]);
});

test('two workers that start together and plan together on an empty database both do their work', async () => {
  // Given an empty target, and runs that wait for a worker
  const url = await freshDatabase('together');
  const source = await freshDatabase('together_source');
  await query(source, 'create table orders (id int primary key); insert into orders select generate_series(1, 20)');
  const flow = await project('together', url);
  const pipeline = (name: string) => `definePipeline({ name: '${name}', source: postgres({ url: '${source}', table: 'orders' }),
    target: postgres({ table: '${name}', mode: 'upsert', key: ['id'] }) })`;
  await flow.write(
    'orders.ts',
    `import { definePipeline, postgres } from 'sluice'; export default [${['one', 'two', 'three', 'four'].map(pipeline)}];`,
  );
  const client = await temporalClient();
  const runs = await Promise.all(['one', 'two', 'three', 'four'].map((name) => startRun(client, flow, name)));

  // When two workers start at once
  await Promise.all([startWorker(flow), startWorker(flow)]);

  // Then all runs end, and the ledger was made once
  for (const run of runs) expect(await resultOf(run)).toMatchObject({ rowsLoaded: 20 });
  expect(await query(url, 'select version from sluice.migrations order by 1')).toEqual([
    { version: 1 },
    { version: 2 },
    { version: 3 },
    { version: 4 },
  ]);
});
