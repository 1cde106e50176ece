/**
 * Fencing: at any time one attempt may write for a unit of work. Whoever takes over ends the sessions that still hold the unit and
 * raises its epoch; an older attempt finds its epoch gone in its next transaction and stops.
 *
 * Every writing transaction reads the fence FOR SHARE first. An attempt that hangs with its transaction open therefore stands in
 * the way of the take-over's UPDATE, and `pg_blocking_pids` names exactly the sessions to end: none has to be recorded, none of
 * another program is hit, and it works the same behind a transaction pooler.
 */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import { endsWithin } from '../connectors/postgres/ends-within.ts';
import { PermanentError, TransientError } from '../errors.ts';

/** A unit of work of a run and the epoch in which one attempt may write for it. */
export interface Fence {
  readonly runKey: string;
  readonly unit: string;
  readonly epoch: number;
  /** Attempts in a row that reached both systems and moved no checkpoint, this one not counted. */
  readonly fruitless: number;
  /** How the last attempt that counts failed; null where it ended without a word. */
  readonly failure: string | null;
}

/** How long a take-over waits before it ends the sessions in its way. */
const PATIENCE_MS = 250;

/**
 * Makes the caller the only attempt that may write for `unit`. May be called any number of times; each call fences the one before.
 *
 * @param holder who takes over, for people: the worker's identity
 * @throws PermanentError `RunEnded` where the run is not (or no longer) in the ledger as running
 * @throws PermanentError `MissingGrant` where a session of another role stands in the way
 */
export async function takeOver(database: Database, runKey: string, unit: string, holder: string): Promise<Fence> {
  const row = await database.transaction(
    async (client) => {
      const raised = await endingBlockers(database, client, () =>
        client.query<{ epoch: number; fruitless: number; failure: string | null }>(
          `insert into sluice.fences as f (run_key, unit, epoch, holder)
           select run_key, $2, 1, $3 from sluice.runs where run_key = $1 and status = 'running'
           on conflict (run_key, unit) do update set epoch = f.epoch + 1, holder = excluded.holder, taken_at = now()
           returning epoch, fruitless, failure`,
          [runKey, unit, holder],
        ),
      );
      return raised.rows[0];
    },
    { lockTimeoutMs: 0 },
  );
  if (!row) {
    throw new PermanentError('RunEnded', `Run ${runKey} is not running any more according to the ledger; this attempt changes nothing.`);
  }
  return { runKey, unit, epoch: row.epoch, fruitless: row.fruitless, failure: row.failure };
}

/**
 * Runs a statement that needs a lock, and ends the sessions that still hold it after a moment's patience. Only for locks that
 * nobody but an attempt presumed dead can hold.
 *
 * @param client a connection inside a transaction whose lock timeout is off
 */
export async function endingBlockers<T>(database: Database, client: Connection, statement: () => Promise<T>): Promise<T> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid;
  const waiting = statement();
  const quiet = waiting.then(noop, noop);
  while (!(await endsWithin(quiet, PATIENCE_MS))) {
    await database.query('select pg_terminate_backend(blocker) from unnest(pg_blocking_pids($1)) as blocker', [pid]);
  }
  return await waiting;
}

function noop(): void {}

/**
 * Holds the fence until the end of the transaction: nobody can take over in the middle of it.
 *
 * @throws TransientError `Fenced` where another attempt has taken over
 */
export async function holdFence(client: Connection, fence: Fence): Promise<void> {
  const { rows } = await client.query<{ epoch: number }>('select epoch from sluice.fences where run_key = $1 and unit = $2 for share', [
    fence.runKey,
    fence.unit,
  ]);
  if (rows[0]?.epoch !== fence.epoch) {
    throw new TransientError('Fenced', `Another attempt has taken over ${fence.unit} of run ${fence.runKey}; this one changed nothing.`, {
      blameless: true,
    });
  }
}

/** Counts an attempt that has reached both systems; a recorded chunk sets the count back. */
export async function countAttempt(database: Database, fence: Fence): Promise<void> {
  await database.query(
    'update sluice.fences set fruitless = fruitless + 1, failure = null where run_key = $1 and unit = $2 and epoch = $3',
    [fence.runKey, fence.unit, fence.epoch],
  );
}

/** Keeps how an attempt that counts failed, for the person who will be told when it was one too many. */
export async function noteFailure(database: Database, fence: Fence, failure: string): Promise<void> {
  await database.query('update sluice.fences set failure = $4 where run_key = $1 and unit = $2 and epoch = $3', [
    fence.runKey,
    fence.unit,
    fence.epoch,
    failure,
  ]);
}

/** The count starts again. */
export async function clearCount(database: Database, fence: Fence): Promise<void> {
  await database.query('update sluice.fences set fruitless = 0 where run_key = $1 and unit = $2 and epoch = $3 and fruitless > 0', [
    fence.runKey,
    fence.unit,
    fence.epoch,
  ]);
}

/** Takes counted attempts back: they ended for a reason that says nothing about the work. */
export async function uncountAttempt(database: Database, fence: Fence, attempts: number): Promise<void> {
  await database.query('update sluice.fences set fruitless = greatest(fruitless - $3, 0) where run_key = $1 and unit = $2', [
    fence.runKey,
    fence.unit,
    attempts,
  ]);
}

/** Name of a unit in the ledger: `copy:17`, `transform`, `load:17`. */
export function unitName(stage: 'copy' | 'transform' | 'load', partition: number | null): string {
  return partition === null ? stage : `${stage}:${partition}`;
}
