/** A worker that is asked to stop. */
import type { Client } from '@temporalio/client';
import { contentOf } from '../helpers/checksum.ts';
import { type Gate, gateAt } from '../helpers/gate.ts';
import { createLedger, type LoggedChunk, logChunks } from '../helpers/ledger.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 30_000;
const CHUNKS = 10;
/** As in workflows/activities.ts: after so long without a heartbeat a partition would be taken from a worker that is dead. */
const HEARTBEAT_TIMEOUT_MS = 10_000;

let url: string;
let flow: Project;
let client: Client;
let chunks: Gate;
let logged: () => Promise<LoggedChunk[]>;

beforeEach(async () => {
  url = await freshDatabase('stop');
  await createLedger(url);
  await seedFlights(url, 'flights', ROWS);
  logged = await logChunks(url);
  chunks = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 3' });
  flow = await project('stop', url);
  await flow.write(
    'flights.ts',
    `import { definePipeline, postgres } from 'sluice';
     export default definePipeline({
       name: 'flights', source: postgres({ table: 'flights' }), target: postgres({ table: 'copied', mode: 'replace' }),
       chunk: { rows: ${ROWS / CHUNKS} },
     });`,
  );
  client = await temporalClient();
});

test('SIGTERM lets the chunk in flight finish and hands the partition on at once', async () => {
  // Given a worker in the middle of a chunk, and another one that is idle
  const stopping = await startWorker(flow);
  await chunks.close();
  const run = await startRun(client, flow, 'flights');
  await chunks.waiting();
  const other = await startWorker(flow);

  // When the first is asked to stop, and the chunk may end
  stopping.kill('SIGTERM');
  await until('it stops', async () => (await stopping.log()).includes('stopping'));
  const [opened] = await query<{ at: number }>(url, 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as at');
  await chunks.open();

  // Then it leaves with 0, and the other one does the rest
  expect(await stopping.ended).toBe(0);
  await resultOf(run);
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'flights'));
  const log = await logged();
  // No chunk was tried twice
  expect(log.map(({ nth, chunk }) => ({ nth, chunk }))).toEqual(Array.from({ length: CHUNKS }, (_, chunk) => ({ nth: chunk + 1, chunk })));
  // The chunk in flight was the first attempt's, the next the second's
  expect(log.map((each) => each.epoch)).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
  // It was handed on, and not missed after the heartbeat timeout
  const { events } = await client.workflow.getHandle(`${run.workflowId}/extract`).fetchHistory();
  const copy = events?.map((event) => event.activityTaskStartedEventAttributes).find((started) => started?.attempt === 2);
  expect(copy?.lastFailure?.applicationFailureInfo?.type).toBe('Handover');
  expect((log[4]?.at ?? 0) - (opened?.at ?? 0)).toBeLessThan(HEARTBEAT_TIMEOUT_MS * 0.8);
  other.kill('SIGTERM');
  expect(await other.ended).toBe(0);
});

test('a second signal ends the worker now; the chunk in flight is copied again by another', async () => {
  const stopping = await startWorker(flow);
  await chunks.close();
  const run = await startRun(client, flow, 'flights');
  await chunks.waiting();
  stopping.kill('SIGTERM');
  await until('it stops', async () => (await stopping.log()).includes('stopping'));
  // When it is asked again while the chunk cannot end
  stopping.kill('SIGTERM');
  // Then it is gone, and another one begins with that chunk
  expect(await stopping.ended).toBe(130);
  await startWorker(flow);
  await chunks.open();
  await resultOf(run);
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'flights'));
  const log = await logged();
  expect(log.map((each) => each.chunk)).toEqual(Array.from({ length: CHUNKS }, (_, chunk) => chunk));
  expect(log.map((each) => each.epoch)).toEqual([1, 1, 1, 2, 2, 2, 2, 2, 2, 2]);
});
