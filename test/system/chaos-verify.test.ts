/** What the chaos suite looks at when the runs have ended finds all that may be wrong. */
import type { ExpectedLoad } from '../../chaos/data.ts';
import type { EndedRun } from '../../chaos/runs.ts';
import { verify } from '../../chaos/verify.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { copy, ROWS, run } from '../helpers/copy-pipeline.ts';
import { resultOf } from '../helpers/runs.ts';
import { ownPostgres, query } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { startWorker } from '../helpers/workers.ts';

jest.setTimeout(120_000);

const LOADS: ExpectedLoad[] = [{ pipeline: 'copy', expected: 'departures', quarantine: [] }];

let url = '';
let target: Database;
let ended: EndedRun;

beforeAll(async () => {
  const made = await copy({ server: (await ownPostgres()).url });
  url = made.url;
  const worker = await startWorker(made.flow);
  const handle = await run(made);
  const summary = await resultOf(handle);
  ended = { id: handle.workflowId, pipeline: 'copy', table: 'copy', status: 'COMPLETED', summary, failure: null };
  worker.kill('SIGTERM');
  await worker.ended;
  target = new Database('target', url, { max: 1 });
  cleanups.push(() => target.close());
});

const found = async (of: Partial<EndedRun> = {}) => {
  const { problems, rowsLost, rowsDuplicated } = await verify({ source: target, loads: LOADS }, target, [{ ...ended, ...of }], {
    ...{ tidyMs: 0, idleSeconds: 0.05 },
  });
  return [problems.join('; '), rowsLost, rowsDuplicated];
};

const RIGHT = ['', 0, 0];

const WRONG: [what: string, broken: string, mended: string, says: RegExp, lost: number, twice: number][] = [
  ['a row is lost', 'delete from copy where id = 7', 'insert into copy select * from departures where id = 7', /9999 rows/, 1, 0],
  [
    'a row is there twice',
    'alter table copy drop constraint copy_pkey; insert into copy select * from copy where id = 7',
    'delete from copy where ctid = (select max(ctid) from copy where id = 7); alter table copy add primary key (id)',
    /10001 rows \(10000 different ones\)/,
    0,
    1,
  ],
  [
    'a value is another',
    'update copy set delay = delay + 1 where id = 7',
    'update copy set delay = delay - 1 where id = 7',
    /with checksum/,
    0,
    0,
  ],
  [
    'staging is left',
    'create table sluice_staging.rows_left (id int)',
    'drop table sluice_staging.rows_left',
    /staging table rows_left is left/,
    0,
    0,
  ],
  [
    'a slot is left',
    `select pg_create_physical_replication_slot('left_over')`,
    `select pg_drop_replication_slot('left_over')`,
    /replication slot left_over is left/,
    0,
    0,
  ],
  [
    'a row is in quarantine that should not be',
    `insert into sluice.quarantine (run_key, partition, chunk, ordinal, reason, record) select run_key, 0, 0, 0, 'bad', 'x' from sluice.runs`,
    'delete from sluice.quarantine',
    /1 rows are in quarantine, and not the 0 bad ones/,
    0,
    0,
  ],
  [
    'the ledger says something else than Temporal',
    `update sluice.runs set status = 'running'`,
    `update sluice.runs set status = 'succeeded'`,
    /the ledger says running/,
    0,
    0,
  ],
];

test.each(WRONG)('%s', async (_what, broken, mended, says, lost, twice) => {
  expect(await found()).toEqual(RIGHT);
  await query(url, broken);
  const [problems, ...counts] = await found();
  await query(url, mended);
  expect(problems).toMatch(says);
  expect(counts).toEqual([lost, twice]);
  expect(await found()).toEqual(RIGHT);
});

test('a session is left: idle, or in a transaction', async () => {
  const other = new Database('source', url, { max: 1 });
  const client = await other.connect();
  await client.query('select 1');
  await client.query('select pg_sleep(0.1)');
  expect((await found())[0]).toMatch(/a session is left in \w+ \(idle\): select pg_sleep/);
  await client.query('begin');
  await until('the transaction to be told of', async () => /\(idle in transaction\): begin/.test(`${(await found())[0]}`));
  client.release(true);
  await other.close();
});

test('a run that failed, or counted wrong', async () => {
  expect((await found({ status: 'FAILED', summary: null, failure: 'it broke' }))[0]).toMatch(/Temporal says FAILED: it broke/);
  const summary = { ...(ended.summary as NonNullable<EndedRun['summary']>), rowsLoaded: ROWS + 1 };
  expect((await found({ summary }))[0]).toMatch(/it says that it loaded 10001 rows, and it were 10000/);
});
