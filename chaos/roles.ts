/** Who of the parts is what at the moment. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { answers, isEtcdLeader } from '../src/cluster/health.ts';
import type { Supervisor } from '../src/cluster/supervisor.ts';
import { Database } from '../src/connectors/postgres/database.ts';
import { identify, type ProcessIdentity } from '../src/local/process-identity.ts';

const LIMIT_MS = 60_000;

/** The PostgreSQL node that is primary, as soon as there is one. */
export async function primaryOf(supervisor: Supervisor): Promise<string> {
  return await first(['pg1', 'pg2'], 'PostgreSQL primary', (name) => answers(`http://${supervisor.part(name).address}:8008/primary`));
}

/**
 * From now until a primary takes writes. Patroni goes on calling a server primary for a moment after it has died: the servers are asked.
 * @param url names both, and wants the one that takes writes
 */
export async function secondsUntilPrimary(url: string): Promise<number> {
  const began = performance.now();
  const isThere = async () => {
    const database = new Database('target', url, { max: 1 });
    try {
      await database.query('select 1');
      return true;
    } catch {
      return false;
    } finally {
      await database.close().catch(() => {});
    }
  };
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await delay(50)) {
    if (await isThere()) return (performance.now() - began) / 1000;
  }
  throw new Error('no PostgreSQL takes writes');
}

export async function etcdLeader(supervisor: Supervisor): Promise<string> {
  return await first(['etcd1', 'etcd2', 'etcd3'], 'etcd leader', (name) => isEtcdLeader(supervisor.part(name).address));
}

async function first(names: readonly string[], what: string, is: (name: string) => Promise<boolean>): Promise<string> {
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await delay(200)) {
    for (const name of names) if (await is(name)) return name;
  }
  throw new Error(`there is no ${what}`);
}

/** Both nodes are up, and the standby is synchronous: what Patroni says of the cluster. */
export async function untilReplicated(supervisor: Supervisor): Promise<void> {
  for (const deadline = Date.now() + 2 * LIMIT_MS; Date.now() < deadline; await delay(250)) {
    for (const name of ['pg1', 'pg2']) if (await answers(`http://${supervisor.part(name).address}:8008/synchronous`)) return;
  }
  throw new Error('the standby does not become synchronous again');
}

/** The processes that a process has started. */
export function childrenOf(parent: ProcessIdentity): ProcessIdentity[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      return ppid === parent.pid ? (identify(pid) ?? []) : [];
    } catch {
      return []; // it has ended
    }
  });
}
