/** How far the target of one region follows that of the other. */
import type { TargetNode, TargetRegion } from './target-region.ts';

/** How much the standby has not got yet. (Where nothing has come since it began to stream, it says that it has received the segment's beginning.) */
export async function bytesBehind(primary: TargetRegion, standby: TargetRegion): Promise<number> {
  const [here] = await primary.database().query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  const [there] = await standby
    .database()
    .query<{ bytes: string }>('select greatest($1::pg_lsn - greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0) as bytes', [
      here?.lsn,
    ]);
  return Number(there?.bytes ?? 0);
}

const FOLLOWS_BYTES = 1024 * 1024;

/**
 * Waits until it is a standby that gets what the primary writes.
 * @throws TransientError `TargetNotReady`
 */
export async function untilFollows(primary: TargetRegion, standby: TargetRegion, timeoutMs: number): Promise<TargetNode> {
  return await standby.until(
    'a standby that follows',
    async ({ role, leads, streaming }) => {
      if (role !== 'standby' || !leads || !streaming) return false;
      return (await bytesBehind(primary, standby).catch(() => Number.POSITIVE_INFINITY)) < FOLLOWS_BYTES;
    },
    timeoutMs,
  );
}
