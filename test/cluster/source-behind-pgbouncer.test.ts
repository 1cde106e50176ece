/** Behind PgBouncer in transaction mode, where two statements outside a transaction may run in two sessions. */
import { keyRange } from '../../src/pipeline/partition-by.ts';
import { columnsOf, never, readCopies, type SourceServer, startSourceServer } from '../integration/postgres-source/source-server.ts';
import { startPgBouncer } from './pgbouncer.ts';

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer();
});
afterAll(async () => {
  await server.stop();
});

test('reads partitions at the same time, and gives its session back after each chunk', async () => {
  await server.sql(
    `create table bounced (id int primary key, at timestamptz default now(), v text); insert into bounced (id, v) select g, repeat('x', 100) from generate_series(1, 5000) g`,
  );
  const bouncer = await startPgBouncer(server.url, 'transaction', 2);
  const url = bouncer.through(server.url);
  const source = server.source({ table: 'bounced', url });
  const columns = await columnsOf(source);
  const read = () =>
    readCopies(source, 'binary', { columns, partitioning: keyRange('id', 1000), maxRows: 300 }, async (chunk) => {
      for await (const _ of chunk.bytes);
    });
  // More at a time than the pooler has sessions.
  expect(await Promise.all([read(), read(), read(), read()])).toEqual(Array(4).fill({ chunks: 20, rows: 5000, rejected: [] }));
  expect((await source.nextWindow?.('at', ['id'], null, null, never))?.high?.[1]).toBe('5000');

  const stopped = await source.readCopy?.({
    partition: { name: 'all', filter: { kind: 'all' }, bounds: null, rowsExpected: null },
    columns,
    schema: [],
    transfer: 'binary',
    window: null,
    position: null,
    maxRows: 5000,
    maxBytes: 1e9,
    signal: never,
  });
  for await (const _ of stopped?.bytes ?? []) break;
  // Nothing that was set for a chunk is left in the sessions that others get.
  const client = await server.connect(url);
  const { rows } = await client.query(
    `select current_setting('client_connection_check_interval') as interval, current_setting('lock_timeout') as lock, current_setting('transaction_isolation') as isolation`,
  );
  expect(rows).toEqual([{ interval: '0', lock: '0', isolation: 'read committed' }]);
  await client.end();
  await source.close();
});
