/** Behind PgBouncer in transaction mode, where two statements outside a transaction may run in two sessions. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseFreePort } from '../../../src/local/free-port.ts';
import { untilDatabaseAnswers } from '../../../src/local/postgres-server.ts';
import { keyRange } from '../../../src/pipeline/partition-by.ts';
import { columnsOf, never, readCopies, type SourceServer, startSourceServer } from './source-server.ts';

const PGBOUNCER = '/usr/sbin/pgbouncer';
const whereInstalled = existsSync(PGBOUNCER) ? it : it.skip;

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer();
});
afterAll(async () => {
  await server.stop();
});

async function withPgBouncer(work: (url: string) => Promise<void>): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(server.url);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pgbouncer-'));
  await chmod(folder, 0o755);
  const own = await chooseFreePort();
  const database = pathname.slice(1);
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    `[databases]
${database} = host=${hostname} port=${port} dbname=${database} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`,
  );
  const [program, ...args] =
    process.getuid?.() === 0 ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', PGBOUNCER] : [PGBOUNCER];
  const bouncer = spawn(program ?? '', [...args, join(folder, 'pgbouncer.ini')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => bouncer.once('exit', resolve));
  try {
    const url = `postgres://${username}@127.0.0.1:${own}/${database}`;
    await untilDatabaseAnswers(url, 10_000);
    await work(url);
  } finally {
    bouncer.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

whereInstalled('reads partitions at the same time, and gives its session back after each chunk', async () => {
  await server.sql(
    `create table bounced (id int primary key, at timestamptz default now(), v text); insert into bounced (id, v) select g, repeat('x', 100) from generate_series(1, 5000) g`,
  );
  await withPgBouncer(async (url) => {
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
});
