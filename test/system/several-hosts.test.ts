/** A connection URL with several hosts: the primary is found, also after a failover in the middle of a run, and a standby is read from when asked. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { contentOf } from '../helpers/checksum.ts';
import { startProxy } from '../helpers/proxy.ts';
import { pendingFailures, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { query, temporalClient } from '../helpers/servers.ts';
import { type Pair, startPair } from '../helpers/standby.ts';
import { until } from '../helpers/wait.ts';
import { project, startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(120_000);

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});

const ROWS = 20_000;

async function portOf(url: string): Promise<number> {
  const database = new Database('source', url, { max: 1 });
  try {
    const [row] = await database.query<{ port: number }>(`select current_setting('port')::int as port`);
    return row?.port ?? 0;
  } finally {
    await database.close();
  }
}

test('a session goes to the server that is asked for', async () => {
  const { primary, standby } = pair;
  expect(await portOf(pair.url())).toBe(primary.port);
  expect(await portOf(pair.url('read-write'))).toBe(primary.port);
  expect(await portOf(pair.url('primary'))).toBe(primary.port);
  expect(await portOf(pair.url('standby'))).toBe(standby.port);
  expect(await portOf(pair.url('read-only'))).toBe(standby.port);
  expect(await portOf(pair.url('prefer-standby'))).toBe(standby.port);
  // One of them only.
  expect(await portOf(`${primary.url}?target_session_attrs=prefer-standby`)).toBe(primary.port);
  await expect(portOf(`${standby.url}?target_session_attrs=primary`)).rejects.toMatchObject({
    code: 'NoSuitableServer',
    blameless: true,
    message: expect.stringMatching(/none of the servers is a primary that can be reached \(127\.0\.0\.1:\d+ is a standby\)/),
  });
});

test('a target is never written to on a standby, and what a standby refuses is tried again', async () => {
  const { primary, standby } = pair;
  await query(primary.url, 'create unlogged table forgetful (id int)');
  await pair.caughtUp();
  for (const [role, message] of [
    ['target', /none of the servers is a primary that can be reached \(127\.0\.0\.1:\d+ is a standby\)/],
    ['source', /cannot access temporary or unlogged relations during recovery/],
  ] as const) {
    const database = new Database(role, standby.url, { max: 1 });
    await expect(database.query('select * from forgetful')).rejects.toMatchObject({
      code: 'ReadOnly',
      blameless: true,
      message: expect.stringMatching(message),
    });
    await database.close();
  }
});

test('what a target is can be asked of a standby', async () => {
  const database = new Database('target', pair.standby.url, { max: 1, anyServer: true });
  expect(await database.query('select pg_is_in_recovery() as standby')).toEqual([{ standby: true }]);
  await database.close();
});

test('a wrong password is wrong everywhere, and a server that is down is passed over', async () => {
  const { primary, standby } = pair;
  await expect(portOf(pair.url().replace(/:[^:@/]+@/, ':wrong@'))).rejects.toMatchObject({ code: 'AuthenticationFailed' });
  expect(await portOf(pair.url().replace(`:${primary.port}`, ':1'))).toBe(standby.port);
});

test('a session that dies before it is used fails what asks for it, not the process', async () => {
  const { primary } = pair;
  const database = new Database('source', pair.url('primary'), { max: 1 });
  const dies = database.connect(async (session) => {
    const ended = new Promise((resolve) => session.once('end', resolve));
    const [row] = (await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
    await query(primary.url, `select pg_terminate_backend(${row?.pid})`);
    await ended;
    return (await session.query('select')) && null;
  });
  await expect(dies).rejects.toMatchObject({ blameless: true, message: expect.stringContaining(`127.0.0.1:${primary.port}: `) });
  expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  await database.close();
});

test('a proxy leads to a standby for a while: no run fails of it, and none stays there', async () => {
  // Given a run that a proxy leads to the primary, stopped after a chunk
  const { primary, standby } = await startPair();
  await seedFlights(primary.url, 'departures', ROWS);
  const proxy = await startProxy(primary.url);
  const flow = await project('led-astray', proxy.url);
  await flow.write(
    'copy.ts',
    `import { definePipeline, keyRange, postgres } from 'sluice';
     export default ['first', 'second'].map((name) => definePipeline({
       name, source: postgres({ table: 'departures' }), partitionBy: keyRange('id', 5_000), target: postgres({ table: name, mode: 'append' }), chunk: { rows: 500 },
     }));`,
  );
  const worker = await startWorker(flow, { faults: 'chunk:after-commit@9=stop' });
  const client = await temporalClient();
  const runs = [await startRun(client, flow, 'first')];
  await stoppedBy(flow, 'chunk:after-commit@9=stop', [worker]);

  // When it leads to the standby
  proxy.leadTo(standby.url);
  proxy.dropAll();
  worker.kill('SIGCONT');
  runs.push(await startRun(client, flow, 'second'));
  await until('a run that is under way and one that begins say so', async () => {
    const [first = '', second = ''] = runs.map((run) => run.workflowId);
    const failures = await Promise.all([`${first}/extract`, second].map((id) => pendingFailures(client, id)));
    return failures.every((each) => each.some((message) => message.includes('is a standby')));
  });

  // Then they go on when it leads to the primary again
  proxy.leadTo(primary.url);
  for (const run of runs) expect(await resultOf(run)).toMatchObject({ rowsLoaded: ROWS });
  for (const table of ['first', 'second']) expect(await contentOf(primary.url, table)).toEqual(await contentOf(primary.url, 'departures'));
});

test('the primary is killed in the middle of a run, its standby is promoted: the run ends there, exactly right', async () => {
  const { primary, standby } = pair;
  await seedFlights(primary.url, 'departures', ROWS);
  const url = pair.url('read-write');
  const flow = await project('failover', url);
  await flow.write(
    'copy.ts',
    `import { definePipeline, keyRange, postgres } from 'sluice';
     export default ['auto', 'never'].map((swap) => definePipeline({
       name: 'copy_' + swap,
       source: postgres({ table: 'departures' }),
       partitionBy: keyRange('id', 5_000),
       target: postgres({ table: 'copy_' + swap, mode: 'upsert', key: ['id'], swap }),
       chunk: { rows: 500 },
     }));`,
  );
  const worker = await startWorker(flow, { faults: 'chunk:after-commit@20=stop' });
  const client = await temporalClient();
  const runs = [await startRun(client, flow, 'copy_auto'), await startRun(client, flow, 'copy_never')];
  await stoppedBy(flow, 'chunk:after-commit@20=stop', [worker]);
  await pair.caughtUp();
  await primary.kill();
  await pair.promote();
  worker.kill('SIGCONT');

  for (const run of runs) expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS });
  for (const table of ['copy_auto', 'copy_never'])
    expect(await contentOf(standby.url, table)).toEqual(await contentOf(standby.url, 'departures'));
});
