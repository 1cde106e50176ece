/** A connection whose other end is gone without a word is given up; one whose server works for long is not. */
import { to as copyTo } from 'pg-copy-streams';
import { FaultyProxy } from '../../chaos/proxy.ts';
import { copyIn } from '../../src/activities/copy-in.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { WHO } from '../../src/connectors/postgres/liveness.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { freshDatabase, ownPostgres } from '../helpers/servers.ts';

jest.setTimeout(90_000);

/** The last message of a session: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const TERMINATE = 'X\0\0\0\x04';

let own: Promise<{ url: string }> | undefined;
/** A session that waits in a COPY for its client lets nobody drop a database: not even that of another test. */
async function ownServer(): Promise<string> {
  own ??= ownPostgres();
  return (await own).url;
}

async function behindProxy(server?: string) {
  const url = new URL(await freshDatabase('half_open', server ? { server } : {}));
  const proxy = await FaultyProxy.start({ host: url.hostname, port: Number(url.port) });
  cleanups.push(() => proxy.stop());
  url.port = String(proxy.place.port);
  const database = new Database('target', url.href, { max: 2 });
  cleanups.push(() => database.close());
  return { proxy, database };
}

test.concurrent('a statement whose connection is half-open fails, and the next one works', async () => {
  const { proxy, database } = await behindProxy();
  const waiting = database.transaction(async (client) => {
    await client.query('create table t (id int)');
    const asked = client.query('select pg_sleep(1)');
    proxy.halfOpen();
    await asked;
  });
  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
  expect(await database.query(`select to_regclass('t') as t`)).toEqual([{ t: null }]);
});

test.concurrent('a session of the pool that went half-open while nobody used it fails too', async () => {
  const { proxy, database } = await behindProxy();
  await database.query('select 1');
  proxy.halfOpen();
  await expect(database.query('select 2 as two')).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
  expect(await database.query('select 2 as two')).toEqual([{ two: 2 }]);
});

test.concurrent('a session whose way is lost at its very first question is given up', async () => {
  const { proxy, database } = await behindProxy();
  proxy.halfOpenAt(WHO);
  const both = [database.query('select 1'), database.query('select 1')];
  for (const asked of both) await expect(asked).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
  proxy.halfOpenAt(null);
  expect(await database.query('select 2 as two')).toEqual([{ two: 2 }]);
});

test.concurrent('a half-open session is given up though who asks for it loses its way too', async () => {
  const { proxy, database } = await behindProxy();
  const waiting = database.transaction(async (client) => {
    const asked = client.query('select pg_sleep(1)');
    proxy.halfOpen();
    // Who asks hears that the session is gone, says goodbye, and is never heard.
    proxy.halfOpenAt(TERMINATE);
    await asked;
  });
  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
});

test.concurrent('a session whose proxy hangs is given up, and the next one goes another way', async () => {
  // Given two ways to the server, and a statement on the first, which hangs from now on: nobody is told, nobody answers
  const direct = new URL(await freshDatabase('hanging_proxy'));
  const proxy = await FaultyProxy.start({ host: direct.hostname, port: Number(direct.port) });
  cleanups.push(() => proxy.stop());
  const { username, password, pathname } = direct;
  const ways = `127.0.0.1:${proxy.place.port},${direct.host}`;
  const database = new Database('target', `postgres://${username}:${password}@${ways}${pathname}`, { max: 2 });
  cleanups.push(() => database.close());
  await database.query('create table t (id int)');
  const waiting = database.transaction(async (client) => {
    const asked = client.query('insert into t values (1)');
    proxy.silence(true);
    await asked;
  });

  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });

  await database.query('insert into t values (2)');
  expect(await database.query('select count(*)::int as n from t where id = 2')).toEqual([{ n: 1 }]);
});

test.concurrent('a statement that takes long is waited for', async () => {
  const { database } = await behindProxy();
  expect(await database.query(`select 'done' as it from pg_sleep(25)`)).toEqual([{ it: 'done' }]);
});

test.concurrent('a session that waits for its client is left alone', async () => {
  const { database } = await behindProxy();
  const rows = await database.transaction(async (client) => {
    await new Promise((done) => setTimeout(done, 20_000));
    return (await client.query('select 1 as one')).rows;
  });
  expect(rows).toEqual([{ one: 1 }]);
});

test.concurrent('a COPY whose reader is slow is left alone', async () => {
  const { database } = await behindProxy();
  const bytes = await database.transaction(async (client) => {
    // Less than the way to the server holds: the server is done with it at once.
    const copy = client.query(copyTo(`copy (select repeat('x', 99) from generate_series(1, 15000)) to stdout`));
    let read = 0;
    for await (const piece of copy) {
      if (read === 0) await new Promise((done) => setTimeout(done, 20_000));
      read += piece.length;
    }
    return read;
  });
  expect(bytes).toBe(1_500_000);
});

test.concurrent('a COPY whose last bytes are lost on the way to the server fails', async () => {
  const { proxy, database } = await behindProxy(await ownServer());
  await database.query('create table t (v text)');
  async function* bytes() {
    yield Buffer.from('a\n');
    await new Promise((done) => setTimeout(done, 500));
    proxy.lose('client');
    yield Buffer.from('b\n');
  }
  const waiting = database.transaction((client) => copyIn(client, 't', { format: 'text', columns: ['v'], bytes: bytes() }));
  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
});

test.concurrent('a COPY whose bytes are lost on the way from the server fails', async () => {
  const { proxy, database } = await behindProxy(await ownServer());
  const waiting = database.transaction(async (client) => {
    const copy = client.query(copyTo(`copy (select repeat('x', 999) from generate_series(1, 30000)) to stdout`));
    for await (const _ of copy) proxy.lose('server');
  });
  await expect(waiting).rejects.toMatchObject({ code: 'DatabaseUnreachable', blameless: true });
});

test.concurrent('a COPY whose source is slow is waited for', async () => {
  const { database } = await behindProxy(await ownServer());
  await database.query('create table t (v text)');
  async function* bytes() {
    yield Buffer.from('a\n');
    await new Promise((done) => setTimeout(done, 45_000));
    yield Buffer.from('b\n');
  }
  expect(await database.transaction((client) => copyIn(client, 't', { format: 'text', columns: ['v'], bytes: bytes() }))).toBe(2);
});

test.concurrent('a statement on a server whose logins take long is waited for', async () => {
  const { proxy, database } = await behindProxy();
  proxy.delay(800);
  expect(await database.query(`select 'done' as it from pg_sleep(30)`)).toEqual([{ it: 'done' }]);
});

test.concurrent('a pool is closed though the way of a session in use is lost', async () => {
  const { proxy, database } = await behindProxy();
  const given = await database.connect();
  await database.connect();
  const closed = database.close();
  proxy.halfOpen();
  given.release();
  await closed;
});

test('a worker that is busy hears late, and does not take that for silence', async () => {
  const database = new Database('target', await freshDatabase('busy_worker'), { max: 2 });
  cleanups.push(() => database.close());
  const asked = database.query(`select 'done' as it from pg_sleep(30)`);
  const standstill = new Int32Array(new SharedArrayBuffer(4));
  let over = false;
  void asked.finally(() => (over = true)).catch(() => {});
  while (!over) {
    Atomics.wait(standstill, 0, 0, 700);
    await new Promise(setImmediate);
  }
  expect(await asked).toEqual([{ it: 'done' }]);
});
