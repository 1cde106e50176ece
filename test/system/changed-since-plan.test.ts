/** What changed since the plan: a file stops its partition, a definition leaves the run to a worker that has the planned one. */
import { appendFile, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure, type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { leftovers, runsOf } from '../helpers/ledger.ts';
import { failureOf, pendingFailures, progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const lines = (name: string, extra: string) => `
import { csv, definePipeline, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  source: csv({ files: '*.csv' }),
  row: z.object({ file: z.string(), id: z.int() }),
  target: postgres({ table: '${name}', mode: 'append' }),
  concurrency: 1,
  ${extra}
});`;

let client: Client;

beforeAll(async () => {
  client = await temporalClient();
});

async function writeCsv(flow: Project, name: string, rows: number): Promise<void> {
  const text = Array.from({ length: rows }, (_, id) => `${name},${id}\n`).join('');
  await writeFile(join(flow.folder, `${name}.csv`), `file,id\n${text}`);
}

/** A run of files a, b, c, d that is paused in the middle of b. */
async function pausedInB(name: string, extra: string) {
  const url = await freshDatabase(name);
  const flow = await project(name, url);
  await flow.write('lines.ts', lines(name, extra));
  for (const [file, rows] of Object.entries({ a: 30, b: 50_000, c: 30, d: 30 })) await writeCsv(flow, file, rows);
  const worker = await startWorker(flow);
  const run = await startRun(client, flow, name);
  await until('b has begun', async () => (await chunksOfB(url)) > 0);
  await run.signal('pause');
  await until('nothing is in flight', async () => {
    const { raw } = await client.workflow.getHandle(`${run.workflowId}/extract`).describe();
    return (await progressOf(run)).status === 'paused' && raw.pendingActivities?.length === 0;
  });
  // Not a thing to rely on: b could have been copied to its end before the pause came.
  const [b] = await query<{ whole: boolean }>(url, `select bool_or(last) as whole from sluice.chunks where partition = 1`);
  expect(b).toEqual({ whole: false });
  return { url, flow, worker, run };
}

async function chunksOfB(url: string): Promise<number> {
  const [row] = await query<{ chunks: number }>(url, 'select count(*)::int as chunks from sluice.chunks where partition = 1');
  return row?.chunks ?? 0;
}

test('a file that grew and one that was touched since the plan stop their partitions, and the others go on', async () => {
  // Given a run that is paused in the middle of b, and is committed partition by partition
  const { url, flow, run } = await pausedInB('grown', `commit: 'partition', chunk: { rows: 20 },`);

  // When b grows, c is only touched, and the run goes on
  await appendFile(join(flow.folder, 'b.csv'), 'b,50000\n');
  await utimes(join(flow.folder, 'c.csv'), new Date(), new Date(Date.now() - 60_000));
  await run.signal('resume');
  const failure = await failureOf(run);

  // Then both partitions stop and say so, and what to do
  expect(failure.type).toBe('PartitionsStopped');
  expect(failure.message).toContain('grown: 2 of 4 partitions stopped');
  expect(failure.message).toMatch(/partition b[^:]*: File "b\.csv" changed since the run was planned \(\d+ bytes then, \d+ now\)/);
  expect(failure.message).toMatch(/partition c[^:]*: File "c\.csv" changed/);
  expect(failure.message).toContain(`sluice retry ${run.workflowId}`);
  // And the others are in the target
  expect(await query(url, 'select file, count(*)::int as rows from grown group by 1 order by 1')).toEqual([
    { file: 'a', rows: 30 },
    { file: 'd', rows: 30 },
  ]);
});

test('a file that changes under a running copy stops its partition before another chunk is taken from it', async () => {
  // Given a worker that stands still just before it commits the third chunk of a file
  const url = await freshDatabase('under');
  const flow = await project('under', url);
  await flow.write('lines.ts', lines('under', `chunk: { rows: 10 },`));
  await writeCsv(flow, 'a', 100);
  const worker = await startWorker(flow, { faults: 'chunk:before-commit@3=stop' });
  const run = await startRun(client, flow, 'under');
  await until('the worker stands still', async () => {
    const [row] = await query<{ chunks: number; waiting: boolean }>(
      url,
      `select (select count(*)::int from sluice.chunks) as chunks,
              exists (select from pg_stat_activity where datname = current_database() and state = 'idle in transaction') as waiting`,
    );
    return row?.chunks === 2 && row.waiting && (await stateOf(worker.pid)) === 'T';
  });

  // When the file is written over with other rows of the same length
  await writeFile(join(flow.folder, 'a.csv'), `file,id\n${Array.from({ length: 100 }, (_, id) => `z,${id}\n`).join('')}`);
  worker.kill('SIGCONT');

  // Then the chunk that was read before is kept, and nothing of the other file is
  const failure = await failureOf(run);
  expect(failure.message).toMatch(/File "a\.csv" changed since the run was planned/);
  expect(await chunksOf(url)).toBe(3);
});

async function chunksOf(url: string): Promise<number> {
  const [row] = await query<{ chunks: number }>(url, 'select count(*)::int as chunks from sluice.chunks');
  return row?.chunks ?? 0;
}

async function stateOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.[0] ?? '';
}

test('a worker with another definition leaves a planned run alone; one with the planned definition finishes it', async () => {
  // Given a run that was planned by one definition and is paused
  const { url, flow, worker, run } = await pausedInB('changed', `chunk: { rows: 20 },`);
  worker.kill('SIGTERM');
  await worker.ended;

  // When only a worker with another definition is there, and the run goes on
  await flow.write('lines.ts', lines('changed', `chunk: { rows: 5_000 }, tolerate: { quarantined: '50%' },`));
  const other = await startWorker(flow);
  await run.signal('resume');

  // Then it leaves the run alone and says so where the run waits
  const before = await chunksOfB(url);
  const reason = await until('the run says what it waits for', async () =>
    (await pendingFailures(client, `${run.workflowId}/extract`)).find((each) => each.includes('was planned as')),
  );
  expect(reason).toMatch(/Pipeline "changed" of this run was planned as \w+; this worker has definition \w+ and leaves the run alone/);
  expect(reason).toMatch(/Start a worker with the planned definition, or cancel the run/);
  expect(await chunksOfB(url)).toBe(before);

  // When a worker with the planned definition (its formatting does not matter) joins
  await flow.write('lines.ts', `// as it was\n${lines('changed', `chunk: { rows: 20 },`)}`);
  await startWorker(flow);
  other.kill('SIGTERM');

  // Then the run goes on where it was and ends right
  expect(await resultOf(run)).toMatchObject({ rowsRead: 50_090, rowsLoaded: 50_090 });
});

/** The definition as another deployment has it, by how it differs. */
const DEPLOYED: Record<string, (flow: Project, name: string) => Promise<void>> = {
  changed: (flow, name) => flow.write('lines.ts', lines(name, `chunk: { rows: 5_000 },`)),
  removed: (flow) => rm(join(flow.folder, 'pipelines', 'lines.ts')),
  // The run is in the database of the worker, and the definition names another one by now.
  moved: async (flow, name) => {
    const elsewhere = await freshDatabase(`${name}-elsewhere`);
    const there = lines(name, `chunk: { rows: 20 },`).replace(`postgres({ table`, `postgres({ url: '${elsewhere}', table`);
    await flow.write('lines.ts', there);
  },
};

test.each(Object.keys(DEPLOYED))('a run whose definition was %s can be cancelled: it ends, and nothing is left', async (how) => {
  // Given a run that waits for a worker with its definition
  const name = `cancel-${how}`;
  const { url, flow, worker, run } = await pausedInB(name, `chunk: { rows: 20 },`);
  worker.kill('SIGTERM');
  await worker.ended;
  await DEPLOYED[how]?.(flow, name);
  await startWorker(flow);
  await run.signal('resume');
  await until('the run waits', async () =>
    (await pendingFailures(client, `${run.workflowId}/extract`)).some((each) => each.includes('was planned as')),
  );

  // When it is cancelled
  await run.cancel();

  // Then it ends, in the ledger too, and nothing is staged any more
  await until('the run has ended', async () => (await run.describe()).status.name !== 'RUNNING', 60_000);
  expect(await cancelled(run)).toBe(true);
  expect(await runsOf(url, run.workflowId)).toEqual([expect.objectContaining({ status: 'cancelled' })]);
  expect(await leftovers(url)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
  expect((await progressOf(run)).note).not.toContain('sluice clean');
});

async function cancelled(run: WorkflowHandle): Promise<boolean> {
  return await run.result().then(
    () => false,
    (error) => error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure,
  );
}
