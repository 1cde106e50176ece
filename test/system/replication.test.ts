/** What is said to be done is on the standby too; what a failover has lost is repeated, and a source that has lost what was read is refused. */
import type { Client } from '@temporalio/client';
import { Database } from '../../src/connectors/postgres/database.ts';
import { endRun } from '../../src/ledger/runs.ts';
import { contentOf } from '../helpers/checksum.ts';
import { runsOf } from '../helpers/ledger.ts';
import { failureOf, pendingFailures, progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Pair, startPair } from '../helpers/standby.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(120_000);

const ROWS = 6_000;
const PIPELINES = `
  import { definePipeline, keyRange, postgres } from 'sluice';
  import { z } from 'zod';
  const params = z.object({ url: z.string() });
  const chunk = { rows: 500 };
  export default [
    ...['report', 'wait', 'ignore', 'auto'].map((replicated) => definePipeline({
      name: 'copy_' + replicated, params, chunk, partitionBy: keyRange('id', 3_000),
      source: ({ url }) => postgres({ url, table: 'departures' }),
      target: postgres({ table: 'copy_' + replicated, mode: 'upsert', key: ['id'], swap: 'never', replicated }),
    })),
    definePipeline({
      name: 'by_partition', params, chunk, partitionBy: keyRange('id', 3_000), commit: 'partition',
      source: ({ url }) => postgres({ url, table: 'departures' }),
      target: postgres({ table: 'by_partition', mode: 'append', key: ['id'] }),
    }),
    definePipeline({
      name: 'fresh', params, chunk,
      source: ({ url }) => postgres({ url, table: 'departures', maxLag: '1 second' }),
      target: postgres({ table: 'fresh', mode: 'append' }),
    }),
  ];`;

let client: Client;
/** The departures, on a server that stays. */
let departures: string;

beforeAll(async () => {
  client = await temporalClient();
  departures = await freshDatabase('departures');
  await seedFlights(departures, 'departures', ROWS);
});

async function flowTo(url: string): Promise<Project> {
  const flow = await project('replication', url);
  await flow.write('copy.ts', PIPELINES);
  return flow;
}

describe('a synchronous standby', () => {
  let pair: Pair;
  const synchronous = async (names: string) => {
    await query(pair.primary.url, `alter system set synchronous_standby_names = '${names}'`);
    await query(pair.primary.url, 'select pg_reload_conf()');
  };

  test('acknowledges the end of a run; without it a run is unreplicated, or waits', async () => {
    // Given a standby that is synchronous
    pair = await startPair();
    await synchronous('standby');
    const flow = await flowTo(pair.url('read-write'));
    await startWorker(flow);
    const params = { url: departures };
    expect(await resultOf(await startRun(client, flow, 'copy_wait', params))).toMatchObject({ rowsLoaded: ROWS, replicated: true });

    // When Patroni falls back to asynchronous, as it does where the standby is gone
    await synchronous('');
    expect(await resultOf(await startRun(client, flow, 'copy_report', params))).toMatchObject({ rowsLoaded: ROWS, replicated: false });
    expect(await resultOf(await startRun(client, flow, 'copy_ignore', params))).toMatchObject({ rowsLoaded: ROWS, replicated: null });
    // A target that has had one is told from one that never had
    expect(await resultOf(await startRun(client, flow, 'copy_auto', params))).toMatchObject({ rowsLoaded: ROWS, replicated: false });
    const waiting = await startRun(client, flow, 'copy_wait', params);
    await until('it says what it waits for', async () =>
      (await pendingFailures(client, waiting.workflowId)).some((message) => message.includes('no synchronous standby at the moment')),
    );

    // Then the run ends as soon as there is one again
    await synchronous('standby');
    expect(await resultOf(waiting)).toMatchObject({ rowsLoaded: ROWS, unchanged: true, replicated: true });
    // And the standby has it in its ledger which of them were acknowledged
    expect(
      await query(
        pair.standby.url,
        'select pipeline, bool_and(acknowledged_at is not null) as acknowledged from sluice.runs group by 1 order by 1',
      ),
    ).toEqual([
      { pipeline: 'copy_auto', acknowledged: false },
      { pipeline: 'copy_ignore', acknowledged: false },
      { pipeline: 'copy_report', acknowledged: false },
      { pipeline: 'copy_wait', acknowledged: true },
    ]);
  });
});

test('a commit whose wait for the standby somebody has ended is not taken for acknowledged', async () => {
  // Given a server that waits for a standby which never comes
  const pair = await startPair();
  const flow = await flowTo(pair.url('read-write'));
  await query(pair.primary.url, `alter system set synchronous_standby_names = 'nobody'`);
  await query(pair.primary.url, 'select pg_reload_conf()');
  await startWorker(flow);
  const run = await startRun(client, flow, 'copy_report', { url: departures });
  let ended = false;
  const summary = resultOf(run).finally(() => {
    ended = true;
  });

  // When somebody ends each wait
  await until('it has ended', async () => {
    await query(pair.primary.url, `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
    return ended;
  });

  // Then the run does not say that a standby has it
  expect(await summary).toMatchObject({ rowsLoaded: ROWS, replicated: false });
});

describe('an asynchronous failover that loses the tail', () => {
  test.concurrent.each([
    ['the commit', 'copy_ignore', 'chunk:after-commit@1=stop', 'load:after-commit@1=stop'],
    ['the plan and all that followed', 'copy_ignore', null, 'load:after-commit@1=stop'],
    ['the plan of partitions that are in hand', 'copy_ignore', null, 'chunk:before-commit@5=stop'],
    ['the commit of one partition of two', 'by_partition', 'load:after-commit@1=stop', 'load:after-commit@2=stop'],
  ])('%s: ledger and rows agree, and the run repeats what was lost', async (_what, pipeline, whole, last) => {
    // Given a run whose target has a standby which all has reached until here
    const pair = await startPair();
    const flow = await flowTo(pair.url('read-write'));
    const worker = await startWorker(flow, { faults: [whole, last].filter(Boolean).join(',') });
    const cut = async () => {
      await pair.caughtUp();
      await pair.cutOff();
    };
    if (!whole) await cut();
    const run = await startRun(client, flow, pipeline, { url: departures });
    if (whole) {
      await stoppedBy(flow, whole, [worker]);
      await cut();
      worker.kill('SIGCONT');
    }

    // When the primary is lost with what came later
    await stoppedBy(flow, last, [worker]);
    await pair.primary.kill();
    await pair.promote();
    worker.kill('SIGCONT');

    // Then all is there once
    expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS });
    expect(await contentOf(pair.standby.url, pipeline)).toEqual(await contentOf(departures, 'departures'));
    expect(await query(pair.standby.url, `select status from sluice.runs`)).toEqual([{ status: 'succeeded' }]);
    worker.kill('SIGTERM');
  });

  test.concurrent('the beginning of a retry: it goes on all the same', async () => {
    // Given a run that was cancelled as soon as it had been planned, as the standby knows
    const pair = await startPair();
    const flow = await flowTo(pair.url('read-write'));
    const run = await startRun(client, flow, 'copy_ignore', { url: departures });
    await run.signal('pause');
    const fault = 'chunk:before-commit@5=stop';
    const worker = await startWorker(flow, { faults: fault });
    await until('it is paused', async () => (await progressOf(run)).status === 'paused');
    await run.cancel();
    await expect(run.result()).rejects.toThrow();
    const [planned] = await runsOf(pair.primary.url, run.workflowId);
    expect(planned).toMatchObject({ status: 'cancelled' });
    await pair.caughtUp();
    await pair.cutOff();

    // When it is retried, and the primary is lost while its partitions are in hand
    const retried = await client.workflow.start('pipeline', {
      workflowId: run.workflowId,
      taskQueue: flow.taskQueue,
      args: [{ pipeline: 'copy_ignore', params: { url: departures }, retry: { runKey: planned?.run_key } }],
    });
    await stoppedBy(flow, fault, [worker]);
    await pair.primary.kill();
    await pair.promote();
    worker.kill('SIGCONT');

    // Then it is the same run that ends, and all is there once
    expect(await resultOf(retried)).toMatchObject({ runKey: planned?.run_key, rowsRead: ROWS, rowsLoaded: ROWS });
    expect(await contentOf(pair.standby.url, 'copy_ignore')).toEqual(await contentOf(departures, 'departures'));
    expect(await runsOf(pair.standby.url, run.workflowId)).toEqual([{ run_key: planned?.run_key, status: 'succeeded' }]);
    worker.kill('SIGTERM');
  });
});

test('a ledger that lacks the commit of a run is not told that it succeeded', async () => {
  // Given a run that has not committed, as a server has it that was promoted without the commit
  const target = await freshDatabase('lacking');
  const flow = await flowTo(target);
  const fault = 'load:before-commit=stop';
  const worker = await startWorker(flow, { faults: fault });
  const run = await startRun(client, flow, 'copy_ignore', { url: departures });
  await stoppedBy(flow, fault, [worker]);
  const [planned] = await runsOf(target, run.workflowId);

  // When somebody who has seen the commit elsewhere ends it
  const database = new Database('target', target, { max: 2 });
  await expect(endRun(database, planned?.run_key ?? '', 'succeeded', null, null)).rejects.toMatchObject({ code: 'CommitsMissing' });
  await database.close();

  // Then it has not ended, and goes on
  expect(await runsOf(target, run.workflowId)).toEqual([{ run_key: planned?.run_key, status: 'running' }]);
  worker.kill('SIGCONT');
  expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS });
  worker.kill('SIGTERM');
});

describe('a source with a standby', () => {
  // In the middle of a partition, and when all is read and nothing is committed.
  test.each(['chunk:after-commit@2=stop', 'transform:after-commit=stop'])(
    'is refused when a failover has lost what was read from it, at %s',
    async (fault) => {
      // Given a run that has read rows which never reached the standby
      const pair = await startPair();
      await seedFlights(pair.primary.url, 'departures', ROWS);
      await pair.caughtUp();
      await pair.cutOff();
      await query(pair.primary.url, `update departures set delay = delay + 1 where id <= 100`);
      const target = await freshDatabase('rewound');
      const flow = await flowTo(target);
      const worker = await startWorker(flow, { faults: fault });
      const run = await startRun(client, flow, 'copy_ignore', { url: pair.url('primary') });
      await stoppedBy(flow, fault, [worker]);

      // When the standby takes over without them
      await pair.primary.kill();
      await pair.promote();
      worker.kill('SIGCONT');

      // Then the run says so, and changes nothing
      const failure = await failureOf(run);
      expect(failure).toMatchObject({ message: expect.stringMatching(/a failover has lost what came in between.*Start a new run/s) });
      expect(await query(target, `select to_regclass('copy_ignore') as there`)).toEqual([{ there: null }]);
      expect(await resultOf(await startRun(client, flow, 'copy_ignore', { url: pair.url('primary') }))).toMatchObject({ rowsLoaded: ROWS });
      expect(await contentOf(target, 'copy_ignore')).toEqual(await contentOf(pair.standby.url, 'departures'));
    },
  );

  test('is read from the standby as long as that is fresh enough', async () => {
    // Given a standby that replays nothing
    const pair = await startPair();
    await seedFlights(pair.primary.url, 'departures', ROWS);
    await pair.caughtUp();
    await query(pair.standby.url, 'select pg_wal_replay_pause()');
    await query(pair.primary.url, `update departures set delay = delay + 1 where id <= 100`);
    await until('it is late', async () => {
      const [row] = await query<{ late: boolean }>(
        pair.standby.url,
        `select now() - pg_last_xact_replay_timestamp() > '1.5 seconds' as late`,
      );
      return row?.late;
    });
    const target = await freshDatabase('fresh');
    const flow = await flowTo(target);
    await startWorker(flow);

    // When a standby is preferred, the primary is read; when only a standby will do, the run waits
    await resultOf(await startRun(client, flow, 'fresh', { url: pair.url('prefer-standby') }));
    expect(await contentOf(target, 'fresh')).toEqual(await contentOf(pair.primary.url, 'departures'));
    await query(target, 'drop table fresh');
    const waiting = await startRun(client, flow, 'fresh', { url: pair.url('standby') });
    await until('it says what it waits for', async () =>
      (await pendingFailures(client, waiting.workflowId)).some((message) => message.includes('a standby more than 1 second behind')),
    );

    // Then it goes on when the standby does
    await query(pair.standby.url, 'select pg_wal_replay_resume()');
    expect(await resultOf(waiting)).toMatchObject({ rowsLoaded: ROWS });
    expect(await contentOf(target, 'fresh')).toEqual(await contentOf(pair.primary.url, 'departures'));
  });
});
