/** Makes a region that comes back the standby of the active one: what only it has is named, and given up. May be repeated. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../connectors/postgres/database.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { readActiveRegion } from '../ledger/regions.ts';
import { chunksInPart } from '../ledger/runs.ts';
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
const FOLLOWS_SOON_MS = 30_000;
const ANSWERS_MS = 60_000;
/** Commits that are compared: since so long before the other region took over. */
const COMPARED_DAYS = 7;

/**
 * @returns what only the region had; null where its server did not answer, and nobody knows
 * @throws PermanentError `RegionActive`, `RegionDiverged`
 * @throws TransientError `RegionUnreachable`, `TargetNotReady`
 */
export async function rejoin(regions: Regions, name: string, say: (message: string) => void): Promise<GivenUp[] | null> {
  await regions.temporal(name);
  const newest = await regions.newestView();
  if (!newest || newest.active === name) {
    throw new PermanentError('RegionActive', `Region ${name} is the active one: there is nothing that it could rejoin.`);
  }
  say(`Waiting until Temporal in region ${name} knows that region ${newest.active} is active.`);
  await untilKnown(regions, name, newest.active);
  const [target, primary] = [regions.target(name), regions.target(newest.active)];
  const node = await target.until('answering', () => true, STANDBY_MS);
  if (node.role === 'standby' && node.leads && (await followsSoon(target))) return [];
  await requireRewindable(target, primary);
  const alone = await commitsOnlyIn(target, primary.database());
  for (const { run, unit, rows } of alone ?? []) say(`Only region ${name} has ${unit} of ${run} (${rows} rows): it is given up there.`);
  say(`Making the target in region ${name} the standby of region ${newest.active}.`);
  await target.demote();
  await untilFollows(primary, target, STANDBY_MS);
  return alone;
}

/** One that Patroni has made a standby of the other region already, and that may have been started this moment. */
async function followsSoon(target: TargetRegion): Promise<boolean> {
  return await target
    .until('a standby that follows', ({ leads, streaming }) => leads && streaming, FOLLOWS_SOON_MS)
    .then(
      () => true,
      () => false,
    );
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

/** Null where the region cannot be asked. @throws SluiceError where the active one cannot */
async function commitsOnlyIn(target: TargetRegion, primary: Database): Promise<GivenUp[] | null> {
  const active = await readActiveRegion(primary);
  const since = new Date((active?.since ?? new Date()).getTime() - COMPARED_DAYS * 86_400_000);
  const own = await whenItAnswers(target, () => recentCommits(target.database(), since));
  if (own === null) return null;
  const there = new Set((await recentCommits(primary, since)).map(({ run, unit }) => `${run} ${unit}`));
  return own
    .filter(({ run, unit, within }) => !there.has(`${run} ${unit}`) && !there.has(`${run} ${within}`))
    .map(({ within: _, ...each }) => each);
}

async function whenItAnswers<T>(target: TargetRegion, ask: () => Promise<T>): Promise<T | null> {
  let answer: T | null = null;
  const look = async () => {
    answer = await ask();
    return true;
  };
  await target.until('answering', look, ANSWERS_MS).catch(() => {});
  return answer;
}

/** Commits since then; of runs that commit chunk by chunk, also the chunks of partitions that are not whole. */
async function recentCommits(database: Database, since: Date): Promise<(GivenUp & { readonly within: string })[]> {
  const [ledger] = await database.query<{ there: boolean }>(`select to_regclass('sluice.chunks_beside') is not null as there`);
  if (!ledger?.there) return [];
  const rows = await database.query<{ run: string; unit: string; within: string; rows: string }>(
    `select run, unit, within, rows from (
       select run_key as run, unit, unit as within, coalesce(result ->> 'rowsLoaded', '0') as rows, committed_at as at
       from sluice.commits where committed_at > $1
       union all
       select run_key, format('chunk %s of partition %s', chunk, partition), 'load:' || partition, rows_staged::text, recorded_at
       from ${chunksInPart('sluice.chunks_beside')} and c.recorded_at > $1
     ) as recent order by at`,
    [since],
  );
  return rows.map(({ rows: count, ...each }) => ({ ...each, rows: Number(count) }));
}
