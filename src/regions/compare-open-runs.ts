/**
 * What the target has lost of the runs that are open: their histories against the ledger. Done while nothing moves, before the namespace does: what is
 * repeated afterwards would look as if it had never been lost.
 */
import type { Client } from '@temporalio/client';
import { listRuns, type RunInfo } from '../client/run-info.ts';
import type { Database } from '../connectors/postgres/database.ts';
import { describeError } from '../errors.ts';
import { ledgerIdentity } from '../ledger/identity.ts';
import { readNewestPlan } from '../ledger/run-plan.ts';
import { chunksInPart } from '../ledger/runs.ts';
import { inParallel } from './in-parallel.ts';
import { readRunHistory } from './run-history.ts';

export interface OpenRun {
  readonly run: string;
  readonly pipeline: string;
  /** Rows that were committed according to the history, and are not according to the ledger; null where the history could not be read. */
  readonly rowsLost: number | null;
  /** Rows that are committed. */
  readonly rowsKept: number;
  /** For people. */
  readonly note: string;
}

export const MOST_RUNS = 10_000;
/** Histories read at a time. */
export const AT_A_TIME = 16;
/** Runs go on after so long, compared or not. */
const COMPARE_MS = 20_000;

/** @param client of the region that goes on */
export async function compareOpenRuns(client: Client, database: Database): Promise<OpenRun[]> {
  const deadline = Date.now() + COMPARE_MS;
  const ledger = await ledgerIdentity(database);
  const open = await client.withDeadline(deadline, () => listRuns(client, { open: true, limit: MOST_RUNS }));
  return await inParallel(open, AT_A_TIME, async (info): Promise<OpenRun> => {
    try {
      return await client.withDeadline(deadline, () => compare(client, database, ledger, info));
    } catch (error) {
      const note = `what it had done is not known: its history could not be read (${describeError(error)})`;
      return { run: info.id, pipeline: info.pipeline, rowsLost: null, rowsKept: 0, note };
    }
  });
}

async function compare(client: Client, database: Database, ledger: string | null, { id, runId, pipeline }: RunInfo): Promise<OpenRun> {
  const { plan, committed } = await readRunHistory(client, id, runId);
  const run = { run: id, pipeline: plan?.run.pipeline ?? pipeline };
  if (!plan) return { ...run, rowsLost: 0, rowsKept: 0, note: 'it was being planned' };
  if (isElsewhere(plan.ledger, ledger)) return { ...run, rowsLost: 0, rowsKept: 0, note: ELSEWHERE };
  const stored = await readNewestPlan(database, plan.run.key);
  const kept = stored ? await unitsKept(database, stored.runKey) : new Map<string, number>();
  const rowsLost = [...committed].reduce((sum, [unit, rows]) => sum + Math.max(0, rows - (kept.get(unit) ?? 0)), 0);
  return { ...run, rowsLost, rowsKept: [...kept.values()].reduce((sum, rows) => sum + rows, 0), note: '' };
}

/** What the regions move is their own target; what another database lost or kept, it knows itself. */
export function isElsewhere(ledger: string | null | undefined, own: string | null): boolean {
  return Boolean(ledger) && own !== null && ledger !== own;
}

export const ELSEWHERE = 'its target is not that of the regions, and was not compared';

/** Rows of each unit that the ledger has: of partitions that are committed chunk by chunk also those that are not whole. */
async function unitsKept(database: Database, runKey: string): Promise<Map<string, number>> {
  const rows = await database.query<{ unit: string; rows: string }>(
    `select unit, coalesce((result ->> 'rowsLoaded')::bigint, 0) as rows from sluice.commits where run_key = $1
     union all
     select 'load:' || partition, sum(rows_staged) from ${chunksInPart()} and c.run_key = $1 group by partition`,
    [runKey],
  );
  return new Map(rows.map(({ unit, rows: count }) => [unit, Number(count)]));
}
