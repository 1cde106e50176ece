/** A primary and its standby on this machine: real streaming replication between two embedded servers. */
import { execFile } from 'node:child_process';
import { chown, copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PostgresServer, startPostgresServer } from '../../src/local/postgres-server.ts';
import { cleanups } from './cleanup.ts';
import { query, temporaryFolder } from './servers.ts';
import { until } from './wait.ts';

const run = promisify(execFile);

export interface Pair {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** Of both, as a user writes it. */
  url(attributes?: string): string;
  /** Makes the standby a primary, once it takes writes. */
  promote(): Promise<void>;
  /** Resolves when the standby has replayed all that was written. */
  caughtUp(): Promise<void>;
  /** From now on nothing reaches the standby, and nobody notices. */
  cutOff(): Promise<void>;
}

export async function startPair(settings: Record<string, string> = {}): Promise<Pair> {
  const folder = await temporaryFolder('pair');
  const one = { folder: join(folder, 'one'), settings };
  const first = await startPostgresServer(one);
  await first.stop();

  // What pg_basebackup would bring, from a server that stands still.
  const other = { folder: join(folder, 'other') };
  await mkdir(other.folder, { mode: 0o755 });
  await run('cp', ['-a', first.dataFolder, join(other.folder, 'data')]);
  await copyFile(join(one.folder, 'password'), join(other.folder, 'password'));
  const signal = join(other.folder, 'data/standby.signal');
  await writeFile(signal, '');
  const { uid, gid } = await stat(first.dataFolder);
  await chown(signal, uid, gid);

  const primary = await startPostgresServer({ ...one, port: first.port });
  cleanups.push(() => primary.stop('immediate'));
  const { username, password } = new URL(primary.url);
  const upstream = `host=127.0.0.1 port=${primary.port} user=${username} password=${decodeURIComponent(password)} application_name=standby`;
  const standby = await startPostgresServer({ ...other, settings: { ...settings, primary_conninfo: upstream } });
  cleanups.push(() => standby.stop('immediate'));
  await until('the standby streams', async () => (await query(primary.url, 'select from pg_stat_replication')).length > 0);
  let receiver = 0;
  return {
    primary,
    standby,
    url: (attributes) => {
      const both = primary.url.replace(/@[^/]+/, `@127.0.0.1:${primary.port},127.0.0.1:${standby.port}`);
      return attributes ? `${both}?target_session_attrs=${attributes}` : both;
    },
    promote: async () => {
      if (receiver > 0) process.kill(receiver, 'SIGKILL'); // what waits in its socket is lost; the standby starts again
      await until('the standby is promoted', async () => {
        const [row] = await query<{ promoted: boolean }>(
          standby.url,
          'select case when pg_is_in_recovery() then pg_promote(true, 5) else true end as promoted',
        ).catch(() => []);
        return row?.promoted ?? false;
      });
    },
    caughtUp: async () => {
      await until('the standby has all that was written', async () => {
        const [row] = await query<{ behind: boolean }>(
          primary.url,
          'select bool_or(replay_lsn is distinct from pg_current_wal_lsn()) as behind from pg_stat_replication',
        );
        return row?.behind === false;
      });
    },
    cutOff: async () => {
      const [row] = await query<{ pid: number }>(standby.url, `select pid from pg_stat_activity where backend_type = 'walreceiver'`);
      receiver = row?.pid ?? 0;
      process.kill(receiver, 'SIGSTOP');
    },
  };
}
