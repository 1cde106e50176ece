/** How long COPY waits, and for whom. */
import { setTimeout as delay } from 'node:timers/promises';
import { copyIn } from '../../src/activities/copy-in.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { freshDatabase, query } from '../helpers/servers.ts';

const STALL_MS = 300;
/** More than the stream and the sockets in between hold. */
const LARGE = Buffer.from('x'.repeat(1_000_000).concat('\n'));

async function target(): Promise<{ url: string; database: Database }> {
  const url = await freshDatabase('copy_in');
  await query(url, 'create table lines (line text)');
  const database = new Database('target', url, { max: 2 });
  cleanups.push(() => database.close());
  return { url, database };
}

test('a source that takes its time, before its first row and between rows, is waited for', async () => {
  const { url, database } = await target();
  async function* slow() {
    for (const line of ['a\n', 'b\n']) {
      await delay(4 * STALL_MS);
      yield Buffer.from(line);
    }
  }

  const rows = await database.transaction((client) =>
    copyIn(client, 'lines', { format: 'text', columns: ['line'], bytes: slow() }, STALL_MS),
  );

  expect(rows).toBe(2);
  expect(await query(url, 'select * from lines order by 1')).toEqual([{ line: 'a' }, { line: 'b' }]);
});

test('a target that takes nothing any more is given up', async () => {
  const { url, database } = await target();
  // Given a trigger at which the server hangs
  await query(
    url,
    `create function hang() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return new; end $$;
     create trigger hang before insert on lines for each row execute function hang()`,
  );
  const copying = database.transaction((client) =>
    copyIn(client, 'lines', { format: 'text', columns: ['line'], bytes: Array.from({ length: 50 }, () => LARGE) }, STALL_MS),
  );

  await expect(copying).rejects.toMatchObject({ code: 'Stalled' });
  await query(url, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`);
});
