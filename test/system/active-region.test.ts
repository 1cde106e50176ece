/** Which region may write: what the term is after each way in which a region takes over. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Database } from '../../src/connectors/postgres/database.ts';
import { nameFirstRegion, readActiveRegion, regionGuard, takeTerm } from '../../src/ledger/regions.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { createLedger } from '../helpers/ledger.ts';
import { freshDatabase, query } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';

async function region(): Promise<{ database: Database; url: string }> {
  const url = await freshDatabase('regions');
  await createLedger(url);
  const database = new Database('target', url, { max: 2 });
  await nameFirstRegion(database, 'a');
  return { database, url };
}

const termOf = async (database: Database) => (await readActiveRegion(database))?.term ?? 0;

test('a command that is repeated raises no term, and each that changes who may write does', async () => {
  const { database } = await region();
  const first = await termOf(database);
  expect(first).toBe(1);
  const handedOver = await takeTerm(database, 'b', 'a');
  expect(handedOver).toBeGreaterThan(first);
  expect(await takeTerm(database, 'b', 'a')).toBe(handedOver);
  // The region that was handed over to is taken by force: it was, by its own ledger, the active one before.
  const forced = await takeTerm(database, 'b', null);
  expect(forced).toBeGreaterThan(handedOver);
  expect(await takeTerm(database, 'b', null)).toBe(forced);
  await database.close();
});

test('the permission to go on alone is used up by the take-over for which it was given', async () => {
  const { database, url } = await region();
  const before = await takeTerm(database, 'b', null);
  await query(url, `do $$ begin execute format('alter database %I set sluice.alone_from_term = ${before}', current_database()); end $$`);
  const again = new Database('target', url, { max: 1 });
  const after = await takeTerm(again, 'b', null);
  expect(after).toBeGreaterThan(before);
  expect(await takeTerm(again, 'b', null)).toBe(after);
  await Promise.all([database.close(), again.close()]);
});

test('a region that takes over without having heard of the last take-over has the greater term all the same', async () => {
  const [one, other] = await Promise.all([region(), region()]);
  await takeTerm(one.database, 'b', 'a');
  await takeTerm(one.database, 'b', null);
  // As if that had been a minute ago.
  await query(one.url, 'update sluice.regions set term = term - 6');
  expect(await takeTerm(other.database, 'b', null)).toBeGreaterThan(await termOf(one.database));
  await Promise.all([one.database.close(), other.database.close()]);
});

test('workers of a region that has handed over may write until another takes over', async () => {
  const { database, url } = await region();
  const worker = new Database('target', url, { max: 1, guard: regionGuard('a') });
  const write = () => worker.transaction(async (client) => client.query('update sluice.fences set epoch = epoch'));
  await takeTerm(database, 'b', 'a');
  await write();
  await takeTerm(database, 'b', null);
  await expect(write()).rejects.toMatchObject({ code: 'RegionSuperseded' });
  await Promise.all([database.close(), worker.close()]);
});

/** Workers of a region that write without a pause; a session that is ended begins again. Each stops when it is refused. */
function writeWithoutPause(
  url: string,
  worker: string,
  sessions: number,
): { begun: () => number; stop: () => void; refusals: Promise<string[]> } {
  let begun = 0;
  let stopped = false;
  const loop = async (nth: number) => {
    // So that they overlap.
    await delay(nth * 125);
    while (!stopped) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      try {
        await client.connect();
        while (!stopped) {
          await client.query(`begin; ${regionGuard(worker)}`);
          begun += 1;
          await client.query('select pg_sleep(1)');
          await client.query('commit');
        }
      } catch (error) {
        if ((error as { code?: string }).code === 'SLU01') return (error as Error).message;
      } finally {
        client.end().catch(() => {});
      }
    }
    return 'was not refused';
  };
  const refusals = Promise.all(Array.from({ length: sessions }, (_, nth) => loop(nth)));
  return {
    begun: () => begun,
    stop: () => {
      stopped = true;
    },
    refusals,
  };
}

test('writers that follow each other without a pause do not keep another region from taking over', async () => {
  const { database, url } = await region();
  const writers = writeWithoutPause(url, 'a', 8);
  cleanups.push(async () => writers.stop());
  await until('all of them write', async () => writers.begun() > 16);

  let term: number | undefined;
  const taken = takeTerm(database, 'b', null).then((raised) => {
    term = raised;
  });
  taken.catch(() => {});
  await until('the other region has taken over', async () => term, 30_000);

  for (const refusal of await writers.refusals) expect(refusal).toMatch(/region b has taken over from region a/);
  expect(await readActiveRegion(database)).toMatchObject({ region: 'b', term });
  await database.close();
});
