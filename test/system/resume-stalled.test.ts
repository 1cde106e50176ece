/** A retry goes on where a session hangs that has begun with it, or that still writes for the run. */
import pg from 'pg';
import { Database } from '../../src/connectors/postgres/database.ts';
import type { RunPlan } from '../../src/ledger/run-plan.ts';
import { resumeRun } from '../../src/ledger/runs.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { copy, EMPTY, expectCopied, ROWS, retry, run } from '../helpers/copy-pipeline.ts';
import { createLedger, leftovers } from '../helpers/ledger.ts';
import { failureOf, resultOf } from '../helpers/runs.ts';
import { freshDatabase, query } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(240_000);

test('a worker that stalls in the middle of a retry does not stand in the way, and does no harm when it wakes up', async () => {
  const given = await copy({ before: EMPTY, more: `checks: [noRows('no late flights', 'select * from rows where delay > 10000')],` });
  await query(given.url, 'update departures set delay = 20000 where id = 77');
  const fault = 'resume:before-commit=stop';
  const both = [await startWorker(given.flow, { faults: fault }), await startWorker(given.flow, { faults: fault })];
  const failed = await run(given);
  expect(await failureOf(failed)).toMatchObject({ type: 'CheckFailed' });
  await query(given.url, 'update departures set delay = 20 where id = 77');

  const retried = await retry(given, failed);
  const stalled = await stoppedBy(given.flow, fault, both);
  let ended = false;
  const result = resultOf(retried).then((summary) => {
    ended = true;
    return summary;
  });
  result.catch(() => {});
  await until('the run has ended', async () => ended, 120_000);
  expect(await result).toMatchObject({ status: 'succeeded' });
  await expectCopied(given);

  // When it wakes up and is the only one, then it has changed nothing, and works again.
  const other = both.find((each) => each !== stalled);
  other?.kill('SIGKILL');
  await other?.ended;
  stalled.kill('SIGCONT');
  expect(await resultOf(await run(given))).toMatchObject({ status: 'succeeded', rowsRead: ROWS });
  await expectCopied(given);
  expect(await leftovers(given.url)).toEqual({ tables: 0, chunks: 0, transforms: 0, fences: 0 });
});

test('an attempt that hangs in the middle of a write of a run that has failed does not keep it from being retried', async () => {
  const url = await freshDatabase('resume');
  await createLedger(url);
  await query(
    url,
    `insert into sluice.runs (run_key, workflow_id, pipeline, fingerprint, plan, status) values ('r/1', 'r', 'p', 'f', '{}', 'failed');
     insert into sluice.fences (run_key, unit, epoch, holder) values ('r/1', 'copy:0', 1, 'one that hangs');
     insert into sluice.chunks (run_key, partition, chunk, epoch, position, last, rows_read, rows_staged, rows_quarantined) values ('r/1', 0, 0, 1, '{}', true, 1, 1, 0);
     insert into sluice.transforms (run_key, unit, rows_in, rows_out, rows_quarantined) values ('r/1', 'transform:0', 1, 1, 0)`,
  );
  const hung = new pg.Client({ connectionString: url });
  hung.on('error', () => {});
  await hung.connect();
  await hung.query(`begin; select epoch from sluice.fences where run_key = 'r/1' for share; update sluice.chunks set epoch = 1`);
  const database = new Database('target', url, { max: 3 });
  cleanups.push(() => database.close());

  const plan = { staged: [{ name: 'id', sqlType: 'bigint' }] } as unknown as RunPlan;
  await resumeRun(
    database,
    { runKey: 'r/1', workflowId: 'r', pipeline: 'p', fingerprint: 'f', status: 'failed', plan },
    { transformed: false },
  );
  expect(await query(url, 'select status from sluice.runs')).toEqual([{ status: 'running' }]);
  expect(await query(url, 'select from sluice.chunks')).toEqual([]);
});
