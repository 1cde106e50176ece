/** What a worker says of itself over HTTP, to those who ask whether it is well. */
import { chooseFreePort } from '../../src/local/free-port.ts';
import { gateAt } from '../helpers/gate.ts';
import { createLedger } from '../helpers/ledger.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { project, startWorker } from '../helpers/workers.ts';

test('a worker is well while it takes work, and gives its metrics', async () => {
  const url = await freshDatabase('health');
  await createLedger(url);
  await seedFlights(url, 'flights', 5_000);
  const flow = await project('health', url);
  await flow.write(
    'flights.ts',
    `import { definePipeline, postgres } from 'sluice';
     const copy = (table: string) => definePipeline({ name: table, source: postgres({ table }), target: postgres({ table: 'copied', mode: 'append' }) });
     export default [copy('flights'), copy('nothing')];`,
  );
  const [health, metrics] = [`127.0.0.1:${await chooseFreePort([])}`, `127.0.0.1:${await chooseFreePort([])}`];
  const worker = await startWorker(flow, {
    env: { SLUICE_HEALTH_ADDRESS: health, SLUICE_METRICS_ADDRESS: metrics, SLUICE_CONCURRENCY: '3' },
  });
  const answer = async (address: string) => {
    const response = await fetch(`http://${address}`);
    return { status: response.status, text: await response.text() };
  };
  expect((await failureOf(await startRun(await temporalClient(), flow, 'nothing'))).type).toBe('MissingTable');
  await until('it takes work', async () => (await answer(`${health}/health`)).status === 200);
  expect(await answer(`${health}/`)).toEqual({ status: 404, text: 'there is /health\n' });
  expect((await answer(`${metrics}/metrics`)).text).toMatch(
    /^temporal_worker_task_slots_available\{.*worker_type="ActivityWorker".*\} 3$/m,
  );

  // As the alerts of deploy/prometheus/rules.yml ask for it
  expect((await answer(`${metrics}/metrics`)).text).toMatch(/^temporal_workflow_failed\{.*workflow_type="pipeline".*\} 1$/m);

  // Given a chunk in hand, a worker that is told to stop takes no more work, and says so
  const chunks = await gateAt(url, 'sluice.chunks');
  await chunks.close();
  const run = await startRun(await temporalClient(), flow, 'flights');
  await chunks.waiting();
  worker.kill('SIGTERM');
  await until('it takes none', async () => (await answer(`${health}/health`)).status === 503);
  await chunks.open();
  expect(await worker.ended).toBe(0);
  await startWorker(flow);
  expect(await resultOf(run)).toMatchObject({ rowsLoaded: 5_000 });
});

test.each(['0', 'many', '2.5'])('SLUICE_CONCURRENCY=%s is refused', async (said) => {
  const flow = await project('concurrency', await freshDatabase('concurrency'));
  const worker = await startWorker(flow, { env: { SLUICE_CONCURRENCY: said }, ready: false });
  expect(await worker.ended).toBe(1);
  expect(await worker.log()).toContain(`SLUICE_CONCURRENCY is "${said}": it is how many partitions a worker has in hand at once`);
});

test('an address that cannot be listened on is named', async () => {
  const flow = await project('health-taken', await freshDatabase('health_taken'));
  const worker = await startWorker(flow, { env: { SLUICE_HEALTH_ADDRESS: 'nowhere' }, ready: false });
  expect(await worker.ended).toBe(1);
  expect(await worker.log()).toContain('SLUICE_HEALTH_ADDRESS is nowhere: it is a host and a port, as 0.0.0.0:9465');
});
