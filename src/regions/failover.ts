/**
 * Goes on in another region, whatever has become of the first: ends what writes there, where it can be reached, makes the target here the primary,
 * lets only this region's workers write, and makes the namespace active here. Every step is skipped that has been done: it can be repeated after
 * any crash.
 */
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { migrateLedger } from '../ledger/migrations.ts';
import { readActiveRegion, takeTerm } from '../ledger/regions.ts';
import { compareOpenRuns, type OpenRun } from './compare-open-runs.ts';
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
  /** Regions where that could not be done: what they do is not known. */
  readonly unreachable: readonly string[];
  readonly term: number;
  /** The last commit of the target that had arrived here; null where that is not known. */
  readonly lastReplicated: Date | null;
  /** Runs that go on, and what the target has lost of them; null where they could not be listed. */
  readonly open: readonly OpenRun[] | null;
  /** They went on before they were compared: this command has been here before. What they had repeated by then does not count as lost. */
  readonly repeated: boolean;
}

const READY_MS = 15_000;
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
  const others = regions.othersThan(to).map(({ name }) => regions.target(name));
  // Before anything is ended elsewhere: what is to go on must be able to.
  const node = await target.until('answering', async () => await answers(target), READY_MS);
  for (const other of others) await requireNotStale(target, other);
  const promote = node.role !== 'primary';
  const ended: string[] = [];
  const unreachable: string[] = [];
  for (const other of others) ((await endWriters(other, promote, say)) ? ended : unreachable).push(other.region.name);
  if (promote) {
    say(`Making the target in region ${to} the primary.`);
    await becomePrimary(target);
  }
  await target.setSynchronous(null);
  const database = target.database();
  await migrateLedger(database);
  const writer = await readActiveRegion(database);
  const term = await takeTerm(database, to, null);
  say('Comparing the histories of open runs with the ledger.');
  const open = await compareOpenRuns(temporal.client(), database).catch((error: unknown) => {
    // They are not kept waiting for it.
    say(`The open runs could not be compared: ${describeError(error)}.`);
    return null;
  });
  // Of a region that has come back alone, Temporal does not know that another one took over.
  const unaware = before.active === to && (promote || writer?.region !== to);
  const moves = before.active !== to || unaware;
  if (moves) {
    say(`Making the namespace "${regions.namespace}" active in region ${to}.`);
    if (unaware) for (const { name } of regions.othersThan(to)) await temporal.giveNamespace(name);
    await temporal.giveNamespace(to);
  }
  const [replayed] = await database.query<{ at: Date | null }>('select pg_last_xact_replay_timestamp() as at');
  return { ended, unreachable, term, lastReplicated: replayed?.at ?? null, open, repeated: !moves };
}

async function answers(target: TargetRegion): Promise<boolean> {
  await target.database().query('select');
  return true;
}

/** Where Patroni does not do it, for the other region has a primary that the command could not see, all is put back. */
async function becomePrimary(target: TargetRegion): Promise<void> {
  await target.promoteAlone();
  try {
    await target.until('the primary', ({ role }) => role === 'primary', PROMOTED_MS);
  } catch (error) {
    // Else it would become one by itself, whenever it can reach nobody.
    await target.demote();
    throw error;
  }
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

/**
 * @param demote false where there is another primary already, whose history this one's may have left: it is not wound back without being asked
 * @returns false where it could not be done
 */
async function endWriters(target: TargetRegion, demote: boolean, say: (message: string) => void): Promise<boolean> {
  const { name } = target.region;
  try {
    const node = await target.node();
    if (node === null) throw new TransientError('TargetUnreachable', 'nobody answers');
    if (node.role === 'primary' && !demote) {
      say(`The target in region ${name} is a primary as well. What it has alone, and gets from now on, is not seen here.`);
      return false;
    }
    // Also one that is none at the moment: it may be starting again, to be one.
    if (demote) {
      await target.demote();
      await target.until('a standby', ({ role }) => role === 'standby', ENDED_MS);
    }
    say(`The target in region ${name} takes no more writes.`);
    return true;
  } catch (error) {
    say(
      `The target in region ${name} cannot be reached (${describeError(error)}). If it still runs, what is written there from now on is not seen here.`,
    );
    return false;
  }
}
