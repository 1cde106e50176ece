/**
 * Moves everything to another region while both are alive: the target, then the namespace by the server's own handover. Nothing is lost. Every step
 * is skipped that has been done: it can be repeated after any crash.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { PermanentError, TransientError } from '../errors.ts';
import { takeTerm } from '../ledger/regions.ts';
import type { Regions } from './regions.ts';
import { bytesBehind, untilFollows } from './replication.ts';
import type { TargetRegion } from './target-region.ts';

export interface HandoverOptions {
  readonly say: (message: string) => void;
}

/** What the standby may have to catch up with while nobody can write. */
const MOST_BEHIND_BYTES = 16 * 1024 * 1024;
const CAUGHT_UP_MS = 60_000;
const ROLE_MS = 60_000;
const FOLLOWS_MS = 120_000;

/**
 * @throws PermanentError `RegionNotReady` where the other region is not a good standby, `TwoPrimaries`
 * @throws TransientError `RegionUnreachable`, `TargetNotReady`, `HandoverFailed`
 */
export async function handover(regions: Regions, to: string, { say }: HandoverOptions): Promise<void> {
  const views = await Promise.all(regions.all.map(async ({ name }) => (await regions.temporal(name)).view()));
  const newest = views.reduce((best, view) => (view.version > best.version ? view : best));
  const [other] = regions.othersThan(to);
  if (!other) throw new PermanentError('UnknownRegion', 'There is one region only.');
  const [from, next] = [regions.target(other.name), regions.target(to)];
  await moveTarget(from, next, newest.active, say);
  await takeBoth(next, to, other.name);
  if (newest.active !== to) {
    say(`Handing the namespace "${regions.namespace}" over to region ${to}.`);
    await (await regions.temporal(newest.active)).handOver(to);
  }
  // Until then a loss of this region would cost what it has committed.
  say(`Waiting until the target in region ${other.name} follows.`);
  await untilFollows(next, from, FOLLOWS_MS);
}

/** The region becomes the one that writes; the other may until what its workers have in hand has come to an end. */
async function takeBoth(primary: TargetRegion, to: string, from: string): Promise<void> {
  await takeTerm(primary.database(), to, from);
}

async function moveTarget(from: TargetRegion, to: TargetRegion, active: string, say: (message: string) => void): Promise<void> {
  const [old, next] = await Promise.all([from.node(), to.node()]);
  if (!old || !next) {
    const silent = (old ? to : from).region.name;
    throw new PermanentError(
      'RegionNotReady',
      `The target in region ${silent} does not answer. A handover needs both. If the region is lost: sluice region failover.`,
    );
  }
  if (old.role === 'primary' && next.role === 'primary') {
    const other = (active === to.region.name ? from : to).region.name;
    throw new PermanentError(
      'TwoPrimaries',
      `The targets in regions ${from.region.name} and ${to.region.name} are both primaries, and region ${active} is active. What only region ${other} has is named, ` +
        `and given up, by: sluice region rejoin ${other}`,
    );
  }
  if (next.role === 'primary') return;
  if (old.role === 'primary') {
    await requireGoodStandby(from, to, next.leads && next.streaming);
    say(`Moving the target from region ${from.region.name} to ${to.region.name}: nobody can write for some seconds.`);
    // Before, so that it is not forgotten when this command dies.
    await to.setSynchronous((await from.isSynchronous()) ? from.region.name : null);
    // Both have the new term, whichever of them is lost from here on.
    await takeBoth(from, to.region.name, from.region.name);
    await from.demote();
  }
  // It stops in good order, and sends all that it has to the standby before.
  await from.until('a standby that runs', ({ role, state }) => role === 'standby' && /^(running|streaming)$/.test(state), ROLE_MS);
  await untilEqual(from, to);
  await to.promote();
  await to.until('the primary', ({ role }) => role === 'primary', ROLE_MS);
}

async function requireGoodStandby(from: TargetRegion, to: TargetRegion, streaming: boolean): Promise<void> {
  const behind = await bytesBehind(from, to).catch(() => null);
  if (streaming && behind !== null && behind <= MOST_BEHIND_BYTES) return;
  const why = streaming ? `it is ${behind ?? 'an unknown number of'} bytes behind` : 'it gets nothing from the primary';
  throw new PermanentError(
    'RegionNotReady',
    `The target in region ${to.region.name} is no standby to hand over to: ${why}. Wait until it has caught up (sluice region status), or make it one: sluice region rejoin ${to.region.name}.`,
  );
}

/** The old primary is a standby now, and writes nothing: the new one must have all of it. */
async function untilEqual(from: TargetRegion, to: TargetRegion): Promise<void> {
  const deadline = Date.now() + CAUGHT_UP_MS;
  for (;;) {
    try {
      const [old] = await from.database().query<{ lsn: string }>('select pg_last_wal_replay_lsn()::text as lsn');
      const [next] = await to.database().query<{ has: boolean }>('select pg_last_wal_replay_lsn() >= $1::pg_lsn as has', [old?.lsn]);
      if (next?.has) return;
    } catch {
      // It is being started as a standby.
    }
    if (Date.now() > deadline) {
      const { name } = from.region;
      await from.setSynchronous((await to.isSynchronous()) ? to.region.name : null);
      await from.promote();
      await from.until('the primary', ({ role }) => role === 'primary', ROLE_MS);
      await takeTerm(from.database(), name, null);
      throw new TransientError(
        'TargetNotReady',
        `The target in region ${to.region.name} did not get all that region ${name} had; region ${name} is made the primary again. Repeat the command.`,
      );
    }
    await delay(200);
  }
}
