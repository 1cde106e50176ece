/** Runs that are paused: through restarts of all workers and through continuing as new. */
import type { Client } from '@temporalio/client';
import type { StageInput } from '../../src/contracts/stages.ts';
import { contentOf } from '../helpers/checksum.ts';
import { type Gate, gateAt } from '../helpers/gate.ts';
import { createLedger, type LoggedChunk, logChunks } from '../helpers/ledger.ts';
import { progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, ownTemporal, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 12_000;
/** So early that a stage of a hundred partitions continues as new several times. */
const EVENTS = 120;
/** PendingActivityState of Temporal's API. */
const CANCEL_REQUESTED = 3;

let url: string;
let flow: Project;
let client: Client;
let logged: () => Promise<LoggedChunk[]>;

beforeAll(async () => {
  const { server } = await ownTemporal(undefined, { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': EVENTS } });
  url = await freshDatabase('pause');
  await createLedger(url);
  await seedFlights(url, 'flights', ROWS);
  logged = await logChunks(url);
  flow = await project('pause', url, { address: server.address });
  const pipeline = (name: string, options: string) =>
    flow.write(
      `${name}.ts`,
      `import { definePipeline, keyRange, postgres, region } from 'sluice';
       export default definePipeline({ name: '${name}', source: postgres({ table: 'flights' }), target: postgres({ table: '${name}', mode: 'replace' }), ${options} });`,
    );
  await pipeline('long', 'chunk: { rows: 2_000 },');
  await pipeline('many', `partitionBy: keyRange('id', 120), concurrency: 4,`);
  client = await temporalClient(server.address);
});

beforeEach(async () => {
  await query(url, 'truncate chunk_log; alter sequence chunk_tries restart');
});

/** Connections of Sluice's workers to the database. */
const connections = async () =>
  (
    await query<{ count: number }>(
      url,
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'sluice'`,
    )
  )[0]?.count ?? 0;

const inputsOf = async (workflowId: string): Promise<StageInput[]> => {
  const inputs: StageInput[] = [];
  for await (const execution of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
    const { events } = await client.workflow.getHandle(workflowId, execution.runId).fetchHistory();
    const data = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    if (data) inputs.push(JSON.parse(Buffer.from(data).toString('utf8')) as StageInput);
  }
  return inputs.reverse();
};

const signalled = async (workflowId: string, signal: string) =>
  await until(`${workflowId} has got ${signal}`, async () => {
    const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
    return events?.some((event) => event.workflowExecutionSignaledEventAttributes?.signalName === signal);
  });

test('pause finishes the chunk and gives the connections back; all workers may go; resume goes on behind it', async () => {
  // Given a run in the middle of its third chunk
  const chunks: Gate = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 2' });
  const worker = await startWorker(flow);
  await chunks.close();
  const run = await startRun(client, flow, 'long');
  await chunks.waiting();

  // When it is paused and the chunk may end
  await run.signal('pause');
  await signalled(`${run.workflowId}/extract`, 'pause');
  // (the answer to a heartbeat tells the copy, so the second one after the request was sent by one that knows)
  const beats = new Set<string>();
  await until('the copy has been told', async () => {
    const { raw } = await client.workflow.getHandle(`${run.workflowId}/extract`).describe();
    const copy = raw.pendingActivities?.[0];
    if (Number(copy?.state) === CANCEL_REQUESTED) beats.add(JSON.stringify(copy?.lastHeartbeatTime));
    return beats.size > 2;
  });
  await chunks.open();

  // Then that chunk is the last, the run says what to do, and no connection is left
  await until('nothing is in flight', async () => {
    const { raw } = await client.workflow.getHandle(`${run.workflowId}/extract`).describe();
    return (raw.pendingActivities ?? []).length === 0;
  });
  expect((await logged()).map((each) => each.chunk)).toEqual([0, 1, 2]);
  expect(await progressOf(run)).toMatchObject({
    status: 'paused',
    stage: 'extract',
    note: `Paused. Go on with: sluice resume ${run.workflowId}`,
  });
  await until('all connections are released', async () => (await connections()) === 0, 30_000);

  // And it stays so without any worker, and with new ones
  worker.kill('SIGKILL');
  await worker.ended;
  const next = await startWorker(flow);
  expect(await progressOf(run)).toMatchObject({ status: 'paused' });
  await run.signal('resume');
  await resultOf(run);
  expect(await contentOf(url, 'long')).toEqual(await contentOf(url, 'flights'));
  const log = await logged();
  expect(log.map(({ nth, chunk, epoch }) => [nth, chunk, epoch])).toEqual(
    [0, 1, 2, 3, 4, 5].map((chunk) => [chunk + 1, chunk, chunk < 3 ? 1 : 2]),
  );
  next.kill('SIGKILL');
  await next.ended;
});

test('pause and resume that arrive together: the run goes on', async () => {
  // Given a run whose worker has died in the middle of a chunk
  const chunks: Gate = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 1' });
  const worker = await startWorker(flow);
  await chunks.close();
  const run = await startRun(client, flow, 'long');
  await chunks.waiting();
  worker.kill('SIGKILL');
  await worker.ended;
  // When both signals wait for the next worker, for the stage as well
  const stage = client.workflow.getHandle(`${run.workflowId}/extract`);
  for (const each of [run, stage]) {
    await each.signal('pause');
    await each.signal('resume');
  }
  await chunks.open();
  const next = await startWorker(flow);
  // Then it goes on, each chunk recorded once
  await resultOf(run);
  expect(await contentOf(url, 'long')).toEqual(await contentOf(url, 'flights'));
  next.kill('SIGKILL');
  await next.ended;
});

test('a stage that continues as new while it is paused stays paused; resume ends right', async () => {
  // Given a stage of a hundred partitions that is about to continue as new and waits for the one in flight
  const held: Gate = await gateAt(url, 'sluice.chunks', { when: 'new.partition = 7' });
  const worker = await startWorker(flow);
  await held.close();
  const run = await startRun(client, flow, 'many');
  const extract = client.workflow.getHandle(`${run.workflowId}/extract`);
  await held.waiting();
  await until('it drains', async () => {
    const { events } = await extract.fetchHistory();
    const suggested = events?.findIndex((event) => event.workflowTaskStartedEventAttributes?.suggestContinueAsNew) ?? -1;
    const { raw } = await extract.describe();
    return suggested >= 0 && raw.pendingActivities?.length === 1;
  });

  // When it is paused, and that one ends
  await run.signal('pause');
  await signalled(extract.workflowId, 'pause');
  const draining = (await extract.describe()).runId;
  await held.open();

  // Then its next execution begins paused, and survives its workers
  await until('it has continued', async () => (await extract.describe()).runId !== draining);
  await until('it is visible', async () => (await inputsOf(extract.workflowId)).length === 2);
  const [first, second] = await inputsOf(extract.workflowId);
  expect([first?.paused, second?.paused]).toEqual([false, true]);
  const copied = await logged();
  worker.kill('SIGKILL');
  await worker.ended;
  await startWorker(flow);
  await until('the run knows how far it is', async () => (await progressOf(run)).partitions.extracted === copied.length);
  expect(await progressOf(run)).toMatchObject({ status: 'paused', partitions: { planned: 100 } });
  expect(second?.carried?.totals.partitions).toBe(copied.length);
  expect(copied.length).toBeLessThan(100);

  // When it goes on, each partition is copied once, in still more executions
  await run.signal('resume');
  const summary = await resultOf(run);
  expect(summary).toMatchObject({ partitions: 100, chunks: 100, rowsLoaded: ROWS });
  expect(await contentOf(url, 'many')).toEqual(await contentOf(url, 'flights'));
  const partitions = (await logged()).map((each) => each.partition);
  expect([...partitions].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, at) => at));
  expect((await inputsOf(extract.workflowId)).length).toBeGreaterThan(2);
});
