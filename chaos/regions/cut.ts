/** Stops a standby from receiving: what its primary commits from then on is on the primary only. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dataFolder } from '../../src/cluster/postmaster.ts';
import { type RegionsScene, until } from './scene.ts';

/** More than the network holds between the two. */
const FILLER_ROWS = 400_000;
const GIVEN_UP_MS = 60_000;

/** @returns what lets the standby go on: it finds that nobody sends to it any more */
export async function cutReplication(scene: RegionsScene, from: string, to: string): Promise<() => void> {
  const receiver = await until('there is a receiver', () => receiverOf(scene, to), GIVEN_UP_MS);
  process.kill(receiver, 'SIGSTOP');
  const primary = await scene.direct(from);
  // Until the connection is full, and the primary gives the standby up (wal_sender_timeout).
  await primary.query(`create table filler as select n, repeat(md5(n::text), 4) as text from generate_series(1, ${FILLER_ROWS}) as n`);
  await primary.query('drop table filler');
  await until(
    'the primary has given the standby up',
    async () => {
      const [row] = await primary.query<{ senders: string }>('select count(*) as senders from pg_stat_replication');
      return row?.senders === '0';
    },
    GIVEN_UP_MS,
  );
  await primary.close();
  return () => process.kill(receiver, 'SIGCONT');
}

async function receiverOf(scene: RegionsScene, region: string): Promise<number | null> {
  const data = dataFolder(join(scene.folderOf(region), 'volumes/target'));
  const [postmaster] = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== postmaster || postmaster === undefined || postmaster === '') continue;
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('walreceiver')) return Number(pid);
  }
  return null;
}
