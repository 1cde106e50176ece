/** A large run with all the slots of the only worker in hand: others have their turn. */
import { contentOf } from '../helpers/checksum.ts';
import { createLedger } from '../helpers/ledger.ts';
import { progressOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { project, startWorker } from '../helpers/workers.ts';

jest.setTimeout(180_000);

/** Activities that a worker has in hand at once. */
const SLOTS = 20;

test('a small run ends while a large one, whose partitions take long, has every slot', async () => {
  // Given a large run of which every chunk takes a second, and every partition hundreds of chunks
  const url = await freshDatabase('turns');
  await createLedger(url);
  await seedFlights(url, 'flights', 40_000);
  const flow = await project('turns', url);
  await flow.write(
    'flights.ts',
    `import { definePipeline, keyRange, postgres } from 'sluice';
     const source = postgres({ table: 'flights' });
     export default [
       definePipeline({
         name: 'large', source, partitionBy: keyRange('id', 2_000), chunk: { rows: 10 }, concurrency: ${SLOTS},
         target: postgres({ table: 'large', mode: 'append', key: ['id'], swap: 'never' }),
       }),
       definePipeline({ name: 'small', source: postgres({ table: 'flights' }), target: postgres({ table: 'small', mode: 'append', key: ['id'] }) }),
     ];`,
  );
  await query(
    url,
    `create function take_long() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return null; end $$;
     create trigger take_long after insert on sluice.chunks for each row when (new.run_key like 'large%') execute function take_long()`,
  );
  await startWorker(flow);
  const client = await temporalClient();
  const large = await startRun(client, flow, 'large');
  const inHand = async () =>
    (await query<{ n: number }>(url, `select count(distinct partition)::int as n from sluice.chunks where run_key like 'large%'`))[0]?.n;
  await until('all slots are taken', async () => (await inHand()) === SLOTS);

  // When a small one starts
  const small = await startRun(client, flow, 'small');

  // Then it ends, and the large one has lost nothing of what it had done, and goes on
  expect(await resultOf(small)).toMatchObject({ rowsLoaded: 40_000 });
  expect((await progressOf(large)).stage).toBe('extract');
  const chunks = async () =>
    (
      await query<{ n: number; most: number }>(
        url,
        `select count(*)::int as n, max(chunk)::int as most from sluice.chunks where run_key like 'large%'`,
      )
    )[0] ?? { n: 0, most: 0 };
  const before = await chunks();
  expect(before.n).toBeGreaterThan(SLOTS);
  await until('it goes on', async () => (await chunks()).most > before.most + 2);
  await query(url, 'drop trigger take_long on sluice.chunks');
  expect(await resultOf(large)).toMatchObject({ rowsLoaded: 40_000, rowsQuarantined: 0 });
  expect((await contentOf(url, 'large')).checksum).toBe((await contentOf(url, 'small')).checksum);
});
