/** Makes a region that comes back the standby of the active one: what only it has is named, and given up. May be repeated. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../connectors/postgres/database.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { readActiveRegion } from '../ledger/regions.ts';
import type { Regions } from './regions.ts';
import { untilFollows } from './replication.ts';
import type { TargetRegion } from './target-region.ts';

/** A commit that the region had alone: the active region has done it again, or has not had to. */
export interface GivenUp {
  readonly run: string;
  readonly unit: string;
  readonly rows: number;
}

const REPLICATED_MS = 120_000;
const STANDBY_MS = 180_000;

/** @throws PermanentError `RegionActive` @throws TransientError `RegionUnreachable`, `TargetNotReady` */
export async function rejoin(regions: Regions, name: string, say: (message: string) => void): Promise<GivenUp[]> {
  await regions.temporal(name);
  const newest = await regions.newestView();
  if (!newest || newest.active === name) {
    throw new PermanentError('RegionActive', `Region ${name} is the active one: there is nothing that it could rejoin.`);
  }
  say(`Waiting until Temporal in region ${name} knows that region ${newest.active} is active.`);
  await untilKnown(regions, name, newest.active);
  const [target, primary] = [regions.target(name), regions.target(newest.active)];
  const node = await target.until('answering', () => true, STANDBY_MS);
  if (node.role === 'standby' && node.leads && node.streaming) return [];
  await requireRewindable(target, primary);
  const alone = await commitsOnlyIn(target.database(), primary.database());
  for (const { run, unit, rows } of alone) say(`Only region ${name} has ${unit} of ${run} (${rows} rows): it is given up there.`);
  say(`Making the target in region ${name} the standby of region ${newest.active}.`);
  await target.demote();
  await untilFollows(primary, target, STANDBY_MS);
  return alone;
}

async function untilKnown(regions: Regions, name: string, active: string): Promise<void> {
  const deadline = Date.now() + REPLICATED_MS;
  while ((await regions.view(name))?.active !== active) {
    if (Date.now() > deadline) {
      throw new TransientError(
        'RegionBehind',
        `Temporal in region ${name} does not hear of region ${active}. Look at its log, and at the network between the regions.`,
      );
    }
    await delay(500);
  }
}

/**
 * A server can be wound back to where the histories parted, which its timeline tells. Where both were made primaries from the same one, each has a
 * timeline of that number, and nothing tells them apart.
 *
 * @throws PermanentError `RegionDiverged`
 */
async function requireRewindable(target: TargetRegion, primary: TargetRegion): Promise<void> {
  const [own, active] = await Promise.all([target.node(), primary.node()]);
  if (!own || !active || own.timeline < active.timeline) return;
  const { name } = target.region;
  throw new PermanentError(
    'RegionDiverged',
    `The target in region ${name} was made a primary by force as well, after the two had parted (its timeline is ${own.timeline}, that of region ` +
      `${primary.region.name} ${active.timeline}): it cannot follow, and has to be copied anew. docs/operations/regions.md says how.`,
  );
}

/** Commits of the last day before the other region took over, and since, that it does not have. */
async function commitsOnlyIn(database: Database, primary: Database): Promise<GivenUp[]> {
  const active = await readActiveRegion(primary);
  const since = new Date((active?.since ?? new Date()).getTime() - 86_400_000);
  const recent = (of: Database) =>
    of
      .query<{ run_key: string; unit: string; rows: string }>(
        `select run_key, unit, coalesce(result ->> 'rowsLoaded', '0') as rows from sluice.commits where committed_at > $1 order by committed_at`,
        [since],
      )
      .catch(() => []);
  const there = new Set((await recent(primary)).map(({ run_key, unit }) => `${run_key} ${unit}`));
  return (await recent(database))
    .filter(({ run_key, unit }) => !there.has(`${run_key} ${unit}`))
    .map(({ run_key, unit, rows }) => ({ run: run_key, unit, rows: Number(rows) }));
}
