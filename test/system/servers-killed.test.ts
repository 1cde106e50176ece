/** Temporal is killed, or PostgreSQL stopped as by a crash, in each part of a run; then it is started again. */
import type { WorkflowHandle } from '@temporalio/client';
import { copiedPartitions } from '../helpers/observer.ts';
import { startRun } from '../helpers/runs.ts';
import { expectExactlyRight, type Scene, type SceneOptions, scene } from '../helpers/scene.ts';
import { ownPostgres, ownTemporal, query, temporalClient } from '../helpers/servers.ts';
import { startWorker, stoppedBy, type TestWorker } from '../helpers/workers.ts';

jest.setTimeout(240_000);

const DAYS = 4;

interface StoppedRun extends Scene {
  readonly run: WorkflowHandle;
  readonly worker: TestWorker;
}

/** A run whose only worker has stopped at a place. */
async function runStoppedAt(place: string, options: SceneOptions): Promise<StoppedRun> {
  const given = await scene('restarted', options);
  const worker = await startWorker(given.flow, { faults: `${place}=stop` });
  const run = await startRun(await temporalClient(options.address), given.flow, 'flights');
  await stoppedBy(given.flow, `${place}=stop`, [worker]);
  return { ...given, run, worker };
}

async function runsStoppedAt<Place extends string>(
  places: Record<Place, Partial<SceneOptions>>,
  options: SceneOptions,
): Promise<Record<Place, StoppedRun>> {
  // One after another: a worker that has stopped costs nothing.
  const stopped: Partial<Record<Place, StoppedRun>> = {};
  for (const place of Object.keys(places) as Place[]) stopped[place] = await runStoppedAt(place, { ...options, ...places[place] });
  return stopped as Record<Place, StoppedRun>;
}

test('the Temporal server is killed while runs are in each of their stages', async () => {
  const temporal = await ownTemporal();
  const runs = await runsStoppedAt(
    {
      'plan:before-commit': {},
      'chunk:before-commit@9': {},
      'transform:before-commit': {},
      'load:before-commit': {},
      'load:after-commit': {},
    },
    { address: temporal.server.address },
  );

  await temporal.server.kill();
  for (const { worker } of Object.values(runs)) worker.kill('SIGCONT');
  await ownTemporal(temporal);

  for (const each of Object.values(runs)) {
    await expectExactlyRight(each, each.run);
    for (const { partition, chunks, committed, copied } of await copiedPartitions(each.url)) {
      expect({ partition, committed }).toEqual({ partition, committed: chunks });
      expect({ partition, inVain: Math.max(copied - committed, 1) }).toEqual({ partition, inVain: 1 });
    }
  }
});

test('PostgreSQL crashes before, during and after extract: what is missing, and only that, is extracted again', async () => {
  const postgres = await ownPostgres();
  const perPartition = { extra: `commit: 'partition', concurrency: 1,` };
  const runs = await runsStoppedAt(
    {
      'plan:after-commit': {},
      'chunk:before-commit@9': {},
      'transform:after-commit': {},
      'load:before-commit': {},
      'load:after-commit': {},
      'load:before-commit@3': perPartition,
    },
    { server: postgres.url, swap: 'never' },
  );

  await postgres.restart('immediate');
  for (const { url } of Object.values(runs)) expect(await query(url, 'select 1 from sluice.chunks')).toEqual([]);
  for (const { worker } of Object.values(runs)) worker.kill('SIGCONT');

  for (const each of Object.values(runs)) await expectExactlyRight(each, each.run);
  // Which partitions were copied twice.
  const again = async ({ url }: StoppedRun) => {
    const partitions = await copiedPartitions(url);
    expect(partitions).toHaveLength(DAYS);
    for (const { committed, chunks } of partitions) expect(committed).toBeLessThanOrEqual(2 * chunks);
    return partitions.filter(({ chunks, committed }) => committed === 2 * chunks).map(({ partition }) => partition);
  };
  expect(await again(runs['plan:after-commit'])).toEqual([]);
  expect(await again(runs['transform:after-commit'])).toEqual([0, 1, 2, 3]);
  expect(await again(runs['load:before-commit'])).toEqual([0, 1, 2, 3]);
  expect(await again(runs['load:after-commit'])).toEqual([]);
  expect(await again(runs['load:before-commit@3'])).toEqual([2, 3]);
});

test('a worker that is between two chunks and does not notice that staging has been emptied starts the partition again', async () => {
  const given = await runStoppedAt('chunk:after-commit@9', { extra: 'concurrency: 1,', swap: 'never' });

  // What a crash leaves of unlogged tables, with the worker's connections alive as behind a pooler.
  const [staging] = await query<{ name: string }>(
    given.url,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'sluice_staging'`,
  );
  await query(given.url, `truncate sluice.chunks, sluice.transforms, ${staging?.name}`);
  given.worker.kill('SIGCONT');

  await expectExactlyRight(given, given.run);
  expect((await copiedPartitions(given.url)).some(({ attempts }) => attempts === 2)).toBe(true);
});
