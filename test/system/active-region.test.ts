/** Which region may write: what the term is after each way in which a region takes over. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { nameFirstRegion, readActiveRegion, regionGuard, takeTerm } from '../../src/ledger/regions.ts';
import { createLedger } from '../helpers/ledger.ts';
import { freshDatabase, query } from '../helpers/servers.ts';

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
