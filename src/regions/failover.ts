/**
 * Goes on in another region, whatever has become of the first: ends what writes there, where it can be reached, makes the target here the primary,
 * lets only this region's workers write, and makes the namespace active here. Every step is skipped that has been done: it can be repeated after
 * any crash.
 */
import { describeError, PermanentError } from '../errors.ts';
import { migrateLedger } from '../ledger/migrations.ts';
import { readActiveRegion, takeTerm } from '../ledger/regions.ts';
import type { Regions } from './regions.ts';
import type { TargetRegion } from './target-region.ts';

export interface FailoverOptions {
  /** The region is taken to be lost: what it has not replicated is given up. */
  readonly force: boolean;
  readonly say: (message: string) => void;
}

export interface Failover {
  /** Regions that could be reached, and write no more. */
  readonly ended: readonly string[];
  /** Regions that could not: what they do is not known. */
  readonly unreachable: readonly string[];
  readonly term: number;
  /** The last commit of the target that had arrived here; null where that is not known. */
  readonly lastReplicated: Date | null;
}

/** The primary must be one soon; Patroni looks every two seconds. */
const PROMOTED_MS = 60_000;
const ENDED_MS = 15_000;

/**
 * @throws PermanentError `NeedsForce`, `RegionStale`
 * @throws TransientError `RegionUnreachable`, `TargetNotReady`, `TargetUnreachable`
 */
export async function failover(regions: Regions, to: string, { force, say }: FailoverOptions): Promise<Failover> {
  const temporal = await regions.temporal(to);
  const before = await temporal.view();
  if (!force) {
    throw new PermanentError(
      'NeedsForce',
      `Region ${before.active} is active. If it is lost: sluice region failover ${to} --force; what it has not replicated is then given up. ` +
        `If it is alive: sluice region handover ${to}, which loses nothing.`,
    );
  }
  const target = regions.target(to);
  for (const { name } of regions.othersThan(to)) await requireNotStale(target, regions.target(name));
  const ended: string[] = [];
  const unreachable: string[] = [];
  if ((await target.node())?.role !== 'primary') {
    for (const { name } of regions.othersThan(to))
      (await endWriters(regions.target(name), say)) ? ended.push(name) : unreachable.push(name);
    say(`Making the target in region ${to} the primary.`);
    await target.promoteAlone();
    await target.until('the primary', ({ role }) => role === 'primary', PROMOTED_MS);
  }
  await target.setSynchronous(null);
  const database = target.database();
  await migrateLedger(database);
  const term = await takeTerm(database, to, null);
  if (before.active !== to) {
    say(`Making the namespace "${regions.namespace}" active in region ${to}.`);
    await temporal.takeNamespace();
  }
  const [replayed] = await database.query<{ at: Date | null }>('select pg_last_xact_replay_timestamp() as at');
  return { ended, unreachable, term, lastReplicated: replayed?.at ?? null };
}

/**
 * What was committed since another region has taken over is not here: going on here would give it up.
 * @throws PermanentError `RegionStale`
 */
async function requireNotStale(target: TargetRegion, other: TargetRegion): Promise<void> {
  if ((await other.node()) === null) return;
  const [own, theirs] = await Promise.all([target, other].map(async (each) => await readActiveRegion(each.database()).catch(() => null)));
  if (!own || !theirs || theirs.term <= own.term) return;
  const [here, there] = [target.region.name, other.region.name];
  throw new PermanentError(
    'RegionStale',
    `Region ${there} can be reached, and has term ${theirs.term}; region ${here} has ${own.term}, and knows nothing of what was committed since. ` +
      `Make it a standby first: sluice region rejoin ${here}, then sluice region handover ${here}.`,
  );
}

/** False where it cannot be reached. */
async function endWriters(target: TargetRegion, say: (message: string) => void): Promise<boolean> {
  const { name } = target.region;
  try {
    if ((await target.node()) === null) throw new Error('nobody answers');
    await target.demote();
    await target.until('a standby', ({ role }) => role === 'standby', ENDED_MS);
    say(`The target in region ${name} takes no more writes.`);
    return true;
  } catch (error) {
    say(
      `The target in region ${name} cannot be reached (${describeError(error)}). If it still runs, what is written there from now on is not seen here.`,
    );
    return false;
  }
}
