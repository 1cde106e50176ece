/** A PgBouncer (Debian package `pgbouncer`) in transaction mode before a PostgreSQL. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseFreePort } from '../../src/local/free-port.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { query, temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';

export interface PgBouncer {
  /** The URL of a database behind it. */
  through(url: string): string;
  kill(): Promise<void>;
  /** It hangs from now on: connections are made, and nobody answers. */
  freeze(): void;
  start(): Promise<void>;
}

/** @param url a database on the server to stand before */
export async function startPgBouncer(url: string, mode: 'transaction' | 'statement' = 'transaction', poolSize = 30): Promise<PgBouncer> {
  const { hostname, port, username, password } = new URL(url);
  const folder = await temporaryFolder('pgbouncer');
  const own = await chooseFreePort();
  const config = join(folder, 'pgbouncer.ini');
  await writeFile(join(folder, 'users.txt'), `"${username}" "${decodeURIComponent(password)}"\n`);
  await writeFile(
    config,
    `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users.txt
pool_mode = ${mode}
default_pool_size = ${poolSize}
`,
  );
  await chmod(folder, 0o755);
  const through = (inner: string) => {
    const outer = new URL(inner);
    outer.port = String(own);
    return outer.href;
  };
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  let child: ChildProcess | undefined;
  const bouncer: PgBouncer = {
    through,
    async start() {
      // It refuses to run as root.
      child = spawn('/usr/sbin/pgbouncer', ['-q', config], { stdio: 'ignore', uid: id('-u'), gid: id('-g') });
      await until('PgBouncer answers', () => query(through(url), 'select 1'));
    },
    freeze() {
      child?.kill('SIGSTOP');
    },
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child?.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    },
  };
  cleanups.push(() => bouncer.kill());
  await bouncer.start();
  return bouncer;
}
