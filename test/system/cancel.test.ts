/** Runs that are cancelled or terminated. */
import { CancelledFailure, type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { isClosed } from '../../src/client/is-closed.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { collectEndedRuns } from '../../src/ledger/collect.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { type Gate, gateAt } from '../helpers/gate.ts';
import { createLedger, leftovers, runsOf, stagingTables } from '../helpers/ledger.ts';
import { failureOf, progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 12_000;
const PIPELINE = `
  import { definePipeline, postgres } from 'sluice';
  export default definePipeline({
    name: 'flights', source: postgres({ table: 'flights' }), target: postgres({ table: 'copied', mode: 'replace' }), chunk: { rows: 1000 },
  });`;
const NOTHING_LEFT = { tables: 0, chunks: 0, transforms: 0, fences: 0 };

let url: string;
let flow: Project;
let client: Client;
let database: Database;
/** In the second chunk of a partition. */
let chunks: Gate;
/** In the load, its rows written. */
let loads: Gate;

beforeAll(async () => {
  url = await freshDatabase('cancel');
  database = new Database('target', url, { max: 2 });
  cleanups.push(() => database.close());
  await createLedger(url);
  await seedFlights(url, 'flights', ROWS);
  await query(url, 'create table copied (like flights); insert into copied select * from flights where id <= 100');
  chunks = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 1' });
  loads = await gateAt(url, 'copied');
  flow = await project('cancel', url);
  await flow.write('flights.ts', PIPELINE);
  client = await temporalClient();
  await startWorker(flow);
});

async function cancelled(handle: WorkflowHandle): Promise<boolean> {
  return await handle.result().then(
    () => false,
    (error) => error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure,
  );
}

/** Waits until a workflow has been told to cancel. */
async function toldToCancel(workflowId: string): Promise<void> {
  await until(`${workflowId} is told`, async () => {
    const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
    return events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes);
  });
}

/** Waits until what a workflow waits for has been told to cancel. */
async function activityToldToCancel(workflowId: string): Promise<void> {
  await until(`the activity of ${workflowId} is told`, async () => {
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    return raw.pendingActivities?.length && raw.pendingActivities.every((each) => Number(each.state) === 3);
  });
}

test('cancelled in the middle of a chunk: the target is as it was, and nothing is left', async () => {
  const before = await contentOf(url, 'copied');
  await chunks.close();
  const run = await startRun(client, flow, 'flights');
  await chunks.waiting();
  expect(await stagingTables(url)).toHaveLength(1);
  await run.cancel();
  await toldToCancel(`${run.workflowId}/extract`);
  await chunks.open();
  expect(await cancelled(run)).toBe(true);
  expect((await run.describe()).status.name).toBe('CANCELLED');
  expect(await contentOf(url, 'copied')).toEqual(before);
  expect(await runsOf(url, run.workflowId)).toEqual([expect.objectContaining({ status: 'cancelled' })]);
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
  expect(await progressOf(run)).toMatchObject({ status: 'cancelled' });
});

test('cancelled while it is paused: the same', async () => {
  const before = await contentOf(url, 'copied');
  await chunks.close();
  const run = await startRun(client, flow, 'flights');
  await chunks.waiting();
  await run.signal('pause');
  await chunks.open();
  await until('it is paused', async () => (await progressOf(run)).status === 'paused');
  await run.cancel();
  expect(await cancelled(run)).toBe(true);
  expect(await contentOf(url, 'copied')).toEqual(before);
  expect(await runsOf(url, run.workflowId)).toEqual([expect.objectContaining({ status: 'cancelled' })]);
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

test('cancelled while it is planned: the run ends cancelled', async () => {
  // Given a plan that has to wait for a lock on its source
  const before = await contentOf(url, 'copied');
  const holder = new Database('target', url, { max: 1 });
  let run: WorkflowHandle | undefined;
  await holder.transaction(async (session) => {
    await session.query('lock table flights in access exclusive mode');
    run = await startRun(client, flow, 'flights');
    await until('the plan waits', async () => {
      const rows = await query(url, `select 1 from pg_locks where not granted and relation = 'flights'::regclass`);
      return rows.length > 0;
    });
    await run.cancel();
    await activityToldToCancel(run.workflowId);
  });
  await holder.close();
  expect(await cancelled(run as unknown as WorkflowHandle)).toBe(true);
  expect(await contentOf(url, 'copied')).toEqual(before);
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

describe('cancelled, and the worker dies: the run ends cancelled, and nothing is left', () => {
  const given = async () => {
    const target = await freshDatabase('dies');
    await createLedger(target);
    await seedFlights(target, 'flights', 2_000);
    const own = await project('dies', target);
    await own.write('flights.ts', PIPELINE);
    return { target, own };
  };
  const expectNothingLeft = async (target: string, run: WorkflowHandle) => {
    expect(await cancelled(run)).toBe(true);
    expect((await run.describe()).status.name).toBe('CANCELLED');
    expect(await runsOf(target, run.workflowId)).toEqual([expect.objectContaining({ status: 'cancelled' })]);
    expect(await leftovers(target)).toEqual(NOTHING_LEFT);
    expect(await query(target, `select to_regclass('copied') as there`)).toEqual([{ there: null }]);
    expect(await progressOf(run)).toMatchObject({ status: 'cancelled' });
  };

  test.concurrent.each([
    ['transformed', 'insert'],
    ['checked', 'update'],
  ])('while its rows are %s', async (_what, events) => {
    // Given a run in the middle of a step
    const { target, own } = await given();
    const steps = await gateAt(target, 'sluice.transforms', { events });
    await steps.close();
    const worker = await startWorker(own);
    const run = await startRun(client, own, 'flights');
    await steps.waiting();

    // When it is told to cancel, and its worker dies of something else
    await run.cancel();
    await activityToldToCancel(`${run.workflowId}/transform`);
    worker.kill('SIGKILL');
    await startWorker(own);
    await steps.open();

    // Then
    await expectNothingLeft(target, run);
  });

  test.concurrent('when its plan has just been written', async () => {
    // Given a worker that has died with what it would have said
    const { target, own } = await given();
    const worker = await startWorker(own, { faults: 'plan:after-commit=kill' });
    const run = await startRun(client, own, 'flights');
    await worker.ended;
    expect(await runsOf(target, run.workflowId)).toEqual([expect.objectContaining({ status: 'running' })]);

    // When the run is cancelled before another worker comes
    await run.cancel();
    await startWorker(own);

    // Then
    await expectNothingLeft(target, run);
  });
});

test('terminated: what it left is collected, even from under its worker, and what runs is left alone', async () => {
  // Given a run that was terminated in the middle of a chunk, and one that goes on
  const before = await contentOf(url, 'copied');
  await chunks.close();
  const doomed = await startRun(client, flow, 'flights');
  await chunks.waiting(1);
  const alive = await startRun(client, flow, 'flights');
  await chunks.waiting(2);
  await doomed.terminate('by the test');

  // When ended runs are collected
  const closed = (workflowId: string, runKey: string) => isClosed(client, workflowId, runKey);
  expect(await collectEndedRuns(database, closed)).toEqual({ runs: 1, tables: 1 });

  // Then the one is gone without a trace, and its worker's session with it
  expect(await runsOf(url, doomed.workflowId)).toEqual([expect.objectContaining({ status: 'cancelled' })]);
  expect(await stagingTables(url)).toHaveLength(1);
  expect(await contentOf(url, 'copied')).toEqual(before);
  await chunks.waiting(1);
  // And the other ends as ever
  await chunks.open();
  await resultOf(alive);
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'flights'));
  // And the one that was collected can be retried, as `sluice retry` does it
  await query(url, 'update flights set delay = delay + 1');
  const [ledger] = await runsOf(url, doomed.workflowId);
  const retried = await client.workflow.start('pipeline', {
    workflowId: doomed.workflowId,
    taskQueue: flow.taskQueue,
    args: [{ pipeline: 'flights', retry: { runKey: ledger?.run_key } }],
  });
  expect(await resultOf(retried)).toMatchObject({ runKey: ledger?.run_key, rowsLoaded: ROWS });
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'flights'));
  expect(await collectEndedRuns(database, closed)).toEqual({ runs: 0, tables: 0 });
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

test('a commit in flight is not interrupted: the run ends committed', async () => {
  await query(url, 'update flights set delay = delay + 1');
  const before = await contentOf(url, 'copied');
  await loads.close();
  const run = await startRun(client, flow, 'flights');
  await loads.waiting();
  await run.cancel();
  await toldToCancel(`${run.workflowId}/load`);
  expect(await contentOf(url, 'copied')).toEqual(before);
  await loads.open();
  expect(await resultOf(run)).toMatchObject({ status: 'succeeded', rowsLoaded: ROWS });
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'flights'));
  expect(await runsOf(url, run.workflowId)).toEqual([expect.objectContaining({ status: 'succeeded' })]);
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});

test('retried while ended runs are collected: it goes on', async () => {
  // Given a run that failed, whose rows the target takes by now
  await query(url, 'update flights set delay = delay + 1; alter table copied add constraint none check (false) not valid');
  const failed = await startRun(client, flow, 'flights');
  await failureOf(failed);
  await query(url, 'alter table copied drop constraint none');
  const [ledger] = await runsOf(url, failed.workflowId);
  expect(ledger).toMatchObject({ status: 'failed' });
  expect(await stagingTables(url)).toHaveLength(1);

  // When it is retried after it was looked up, and before it is collected
  await chunks.close();
  const args = [{ pipeline: 'flights', retry: { runKey: ledger?.run_key } }];
  const collected = await collectEndedRuns(database, async () => {
    await client.workflow.start('pipeline', { workflowId: failed.workflowId, taskQueue: flow.taskQueue, args });
    await chunks.waiting();
    return true;
  });
  expect(collected).toEqual({ runs: 0, tables: 0 });

  // Then it has kept what it had in hand
  await chunks.open();
  expect(await resultOf(client.workflow.getHandle(failed.workflowId))).toMatchObject({ runKey: ledger?.run_key, rowsLoaded: ROWS });
  expect(await leftovers(url)).toEqual(NOTHING_LEFT);
});
