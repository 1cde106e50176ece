/** The PostgreSQL server that Patroni has started: a process of its own, which outlives Patroni. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, type ProcessIdentity } from '../local/process-identity.ts';
import type { Part } from './parts.ts';

const HOME = '/var/lib/postgresql';

/** Where PostgreSQL keeps its data, as deploy/patroni/patroni.yml says. @param home what stands for `/var/lib/postgresql` */
export function dataFolder(home: string): string {
  return join(home, 'patroni');
}

/** Null where the part is no PostgreSQL node, or none runs in its folder. */
export async function postmasterOf(part: Part): Promise<ProcessIdentity | null> {
  const home = part.volumes.get(HOME);
  if (home === undefined) return null;
  const data = dataFolder(home);
  // https://www.postgresql.org/docs/current/storage-file-layout.html: the process id, and then the folder of the data.
  const [pid, folder] = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return pid && folder === data ? identify(Number(pid)) : null;
}

/** What of a part is meant: all of its processes, or one of the two that make a PostgreSQL node. */
export type Which = 'all' | 'main' | 'postgres';

/** The processes of a part; those that are not there are left out. @param main the one that was started */
export async function processesOf(part: Part, main: ProcessIdentity | null, which: Which): Promise<ProcessIdentity[]> {
  const postmaster = which === 'main' ? null : await postmasterOf(part);
  return [which === 'postgres' ? null : main, postmaster].filter((process) => process !== null);
}
