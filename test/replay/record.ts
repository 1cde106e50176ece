/**
 * Records real histories of this version into `histories/`, for `replay.test.ts`: `npm run record-histories`.
 * One file for each scenario, with the histories of its pipeline and of all its stages.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { failureOf, progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, ownTemporal, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker, type TestWorker } from '../helpers/workers.ts';

const HISTORIES = join(__dirname, 'histories');

const PIPELINES = `
import { definePipeline, noRows, postgres, region, rowCount } from 'sluice';
const orders = { source: postgres({ table: 'orders' }), partitionBy: region('region'), chunk: { rows: 5 } };
const upsert = (table) => postgres({ table, mode: 'upsert', key: ['id'] });
export default [
  definePipeline({ ...orders, name: 'plain', target: upsert('plain') }),
  definePipeline({ ...orders, name: 'checked', checks: [rowCount({ min: 1_000 })], target: upsert('checked') }),
  definePipeline({ ...orders, name: 'incremental', incremental: { cursor: 'id' }, target: upsert('incremental') }),
  definePipeline({ ...orders, name: 'by-partition', commit: 'partition', checks: [noRows('no south', "select * from rows where region = 'south'")], target: upsert('by_partition') }),
  definePipeline({ ...orders, name: 'by-chunk', commit: 'chunk', target: postgres({ table: 'by_chunk', mode: 'append' }) }),
  definePipeline({ ...orders, name: 'replaced', target: postgres({ table: 'replaced', mode: 'replace', key: ['id'] }) }),
  definePipeline({ name: 'long', source: postgres({ table: 'long_table' }), chunk: { rows: 50 }, target: upsert('long_target') }),
  definePipeline({ name: 'many', source: postgres({ table: 'many' }), partitionBy: region('region'), concurrency: 2, target: upsert('many_target') }),
];`;

let url: string;
let client: Client;
let flow: Project;

beforeAll(async () => {
  await rm(HISTORIES, { recursive: true, force: true });
  await mkdir(HISTORIES, { recursive: true });
  url = await freshDatabase('record');
  await query(
    url,
    `create table orders (id int primary key, region text);
     insert into orders select i, (array['north', 'south', 'west'])[1 + i % 3] from generate_series(1, 30) i;
     create table long_table (id int primary key, note text);
     insert into long_table select i, 'x' from generate_series(1, 20000) i;
     create table many (id int primary key, region text);
     insert into many select i, 'region ' || i from generate_series(1, 12) i`,
  );
  client = await temporalClient();
}, 60_000);

/** A project with a task queue of its own, so that no other scenario's worker takes its work. */
async function scenario(name: string, address?: string): Promise<void> {
  flow = await project(`record-${name}`, url, address === undefined ? {} : { address });
  await flow.write('pipelines.ts', PIPELINES);
}

async function stop(worker: TestWorker): Promise<void> {
  worker.kill('SIGTERM');
  await worker.ended;
}

/** Writes the histories of a run, of all executions of its stages, and of those they continued as. */
async function record(name: string, run: WorkflowHandle, from = client): Promise<void> {
  const { History } = proto.temporal.api.history.v1;
  const recorded: { workflowId: string; history: unknown }[] = [];
  const pending = [{ workflowId: run.workflowId, runId: (await run.describe()).runId }];
  for (let next = pending.shift(); next; next = pending.shift()) {
    const { workflowId, runId } = next;
    const history = await from.workflow.getHandle(workflowId, runId).fetchHistory();
    recorded.push({
      workflowId,
      history: withoutNames(History.toObject(History.fromObject(history), { enums: String, longs: String, bytes: String })),
    });
    for (const event of history.events ?? []) {
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
      if (child) pending.push({ workflowId: child.workflowId ?? '', runId: child.runId ?? '' });
      const continued = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
      if (continued) pending.push({ workflowId, runId: continued });
    }
  }
  await writeFile(join(HISTORIES, `${name}.json`), `${JSON.stringify(recorded)}\n`);
}

/** Who worked, and on which machine, is nobody's business, and the traces of where it failed would only make the files large. */
function withoutNames(history: unknown): unknown {
  return JSON.parse(JSON.stringify(history, (key, value) => (key === 'identity' ? 'worker' : key === 'stackTrace' ? '' : value)));
}

const chunks = async (run: WorkflowHandle) => {
  const rows = await query(url, 'select from sluice.chunks where starts_with(run_key, $1)', [`${run.workflowId}/`]);
  return rows.length;
};

/** A verification that has ended. */
async function verified(from: Client, run: WorkflowHandle, runKey: string): Promise<WorkflowHandle> {
  const pipeline = (await query<{ pipeline: string }>(url, 'select pipeline from sluice.runs where run_key = $1', [runKey]))[0]?.pipeline;
  const handle = await from.workflow.start('verify', {
    taskQueue: flow.taskQueue,
    workflowId: `${run.workflowId}/verify`,
    args: [{ run: run.workflowId, runKey, pipeline, params: {} }],
  });
  await handle.result();
  // The first execution: it may have continued as new.
  return from.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
}

test('plain', async () => {
  await scenario('plain');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'plain');
  await resultOf(run);
  await record('plain', run);
  await stop(worker);
});

test('a worker killed, and a connection lost at the commit', async () => {
  await scenario('killed');
  const doomed = await startWorker(flow, { faults: 'chunk:before-commit@3=kill' });
  const run = await startRun(client, flow, 'plain');
  await doomed.ended;
  const worker = await startWorker(flow, { faults: 'chunk:before-commit@2=drop,load:before-commit=lose-answer' });
  await resultOf(run);
  await record('killed-worker', run);
  await stop(worker);
});

test('paused and resumed, twice, in the middle of a partition', async () => {
  await scenario('paused');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'long');
  for (let times = 0; times < 2; times += 1) {
    const before = await chunks(run).catch(() => 0);
    await until('it copies', async () => (await chunks(run)) > before);
    await run.signal('pause');
    await until('nothing is in flight', async () => {
      const { raw } = await client.workflow.getHandle(`${run.workflowId}/extract`).describe();
      return (await progressOf(run)).status === 'paused' && raw.pendingActivities?.length === 0;
    });
    await run.signal('resume');
  }
  await resultOf(run);
  await record('paused', run);
  await stop(worker);
});

test('cancelled in the middle of a partition', async () => {
  await scenario('cancelled');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'long');
  await until('it copies', async () => (await chunks(run)) > 0);
  await run.cancel();
  await expect(run.result()).rejects.toThrow();
  await record('cancelled', run);
  await stop(worker);
});

test('a check that fails, and the run retried', async () => {
  await scenario('check');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'checked');
  expect((await failureOf(run)).type).toBe('CheckFailed');
  await record('failed-check', run);
  const runKey = `${run.workflowId}/${(await run.describe()).runId}`;
  const again = await client.workflow.start('pipeline', {
    taskQueue: flow.taskQueue,
    workflowId: `${run.workflowId}-retry`,
    args: [{ pipeline: 'checked', params: {}, retry: { runKey } }],
  });
  expect((await failureOf(again)).type).toBe('CheckFailed');
  await record('retried', again);
  await stop(worker);
});

test('an increment that another run has overtaken', async () => {
  await scenario('superseded');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'incremental');
  await run.signal('pause');
  await until('it is planned', async () => (await progressOf(run)).partitions.planned > 0);
  await resultOf(await startRun(client, flow, 'incremental'));
  await run.signal('resume');
  await resultOf(run);
  await record('superseded', run);
  await stop(worker);
});

test('committed by partition, one of which stops', async () => {
  await scenario('by-partition');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'by-partition');
  expect((await failureOf(run)).type).toBe('PartitionsStopped');
  await record('by-partition', run);
  await stop(worker);
});

test('committed by chunk', async () => {
  await scenario('by-chunk');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'by-chunk');
  await resultOf(run);
  await record('by-chunk', run);
  await stop(worker);
});

test('verified: equal, and different', async () => {
  await scenario('verified');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'replaced');
  const { runKey } = await resultOf(run);
  await record('verified', await verified(client, run, runKey));
  await query(url, `update replaced set region = 'nowhere' where id = 7`);
  await record('verified-different', await verified(client, run, runKey));
  await stop(worker);
});

test('a pipeline that nobody knows', async () => {
  await scenario('unknown');
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, 'nobody-knows-it');
  expect((await failureOf(run)).type).toBe('UnknownPipeline');
  await record('failed-plan', run);
  await stop(worker);
});

test('stages that continue as new', async () => {
  // A server that suggests it early, so that the histories are short.
  const { server } = await ownTemporal(undefined, { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 30 } });
  await scenario('continued', server.address);
  const own = await temporalClient(server.address);
  const worker = await startWorker(flow);
  const run = await startRun(own, flow, 'many');
  const { runKey } = await resultOf(run);
  await record('continued-as-new', run, own);
  await record('verify-continued-as-new', await verified(own, run, runKey), own);
  await stop(worker);
});
