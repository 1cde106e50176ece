/**
 * After a move, compares what Temporal's histories say with the ledger, which is the authority: a run that goes on repeats by itself what the target
 * has lost; one that had ended, or whose history did not arrive, is started again. May be repeated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { SluiceClient } from '../client/sluice-client.ts';
import type { Database } from '../connectors/postgres/database.ts';
import type { Json, PipelineInput } from '../contracts/run.ts';
import { describeError, SluiceError } from '../errors.ts';
import { readNewestPlan } from '../ledger/run-plan.ts';
import { sumCommits } from '../ledger/runs.ts';

/** `goes on`: it is open. `started again`: here, by this command. `whole`: the target has all of it, though its history did not arrive. */
export type Outcome = 'goes on' | 'started again' | 'whole' | 'failed';

export interface ReconciledRun {
  readonly run: string;
  readonly pipeline: string;
  readonly outcome: Outcome;
  /** Rows that were committed according to the history, and are not according to the ledger. They are read from the source again. */
  readonly rowsLost: number;
  /** Rows that are committed. */
  readonly rowsKept: number;
  /** For people. */
  readonly note: string;
}

const ANSWER_MS = 30_000;
const MOST_RUNS = 10_000;
/** Clocks of regions differ, and a commit is younger than what it belongs to. */
const MARGIN_MS = 60_000;
const DAY_MS = 86_400_000;

/** @param lastReplicated the last commit that the target had got when it took over: what ended before is there */
export async function reconcile(sluice: SluiceClient, database: Database, lastReplicated: Date | null): Promise<ReconciledRun[]> {
  const since = new Date((lastReplicated?.getTime() ?? Date.now() - DAY_MS) - MARGIN_MS);
  const open = (await sluice.list({ status: 'running', limit: MOST_RUNS })).concat(
    await sluice.list({ status: 'paused', limit: MOST_RUNS }),
    await sluice.list({ status: 'planning', limit: MOST_RUNS }),
  );
  const ended = (await sluice.list({ status: 'succeeded', limit: MOST_RUNS })).filter(
    ({ closedAt }) => closedAt !== null && closedAt > since,
  );
  const reconciled = await Promise.all(open.map(({ id, pipeline }) => openRun(sluice, database, id, pipeline)));
  for (const { id, pipeline } of ended) {
    const again = await endedRun(sluice, database, id, pipeline);
    if (again) reconciled.push(again);
  }
  const known = new Set([...open, ...ended].map(({ id }) => id));
  for (const run of await runsOfLedger(database, since)) {
    if (known.has(run.workflowId)) continue;
    const unknown = await runWithoutHistory(sluice, database, run);
    if (unknown) reconciled.push(unknown);
  }
  return reconciled;
}

async function openRun(sluice: SluiceClient, database: Database, id: string, pipeline: string): Promise<ReconciledRun> {
  const { runKey } = await sluice.startOf(id);
  const kept = await committedRows(database, runKey);
  const said = await rowsSaidLoaded(sluice, id);
  const rowsLost = Math.max(0, (said ?? 0) - kept);
  const note = said === null ? 'no worker has answered yet: what it had done is not known' : '';
  return { run: id, pipeline, outcome: 'goes on', rowsLost, rowsKept: kept, note };
}

/** What the history says; null where no worker has told in time: it takes the run over first. */
async function rowsSaidLoaded(sluice: SluiceClient, id: string): Promise<number | null> {
  for (const deadline = Date.now() + ANSWER_MS; ; await delay(500)) {
    try {
      return (await sluice.get(id).progress({ timeoutMs: Math.max(deadline - Date.now(), 1_000) })).rows.loaded;
    } catch {
      if (Date.now() > deadline) return null;
    }
  }
}

/** Null where the target has all of it. */
async function endedRun(sluice: SluiceClient, database: Database, id: string, pipeline: string): Promise<ReconciledRun | null> {
  const { rowsLoaded, runKey } = await sluice.get(id).result();
  const kept = await committedRows(database, runKey);
  if (kept >= rowsLoaded) return null;
  const { pipeline: name, params } = await sluice.startOf(id);
  return await startAgain(sluice, database, {
    ...{ run: id, pipeline, rowsLost: rowsLoaded - kept, rowsKept: kept },
    ...{ runKey, input: { pipeline: name, params }, note: 'it had succeeded, and the target has lost its commit' },
  });
}

interface RunOfLedger {
  readonly workflowId: string;
  readonly runKey: string;
  readonly pipeline: string;
  readonly status: string;
  readonly params: { readonly [name: string]: Json };
}

async function runsOfLedger(database: Database, since: Date): Promise<RunOfLedger[]> {
  return await database.query<RunOfLedger & Record<string, unknown>>(
    `select distinct on (workflow_id) workflow_id as "workflowId", run_key as "runKey", pipeline, status, plan -> 'params' as params
     from sluice.runs where planned_at > $1 or (status = 'running' and planned_at > $1::timestamptz - interval '1 day')
     order by workflow_id, planned_at desc`,
    [since],
  );
}

/** Null where its history is there after all. */
async function runWithoutHistory(sluice: SluiceClient, database: Database, run: RunOfLedger): Promise<ReconciledRun | null> {
  const { workflowId, runKey, pipeline, params } = run;
  const start = await sluice.startOf(workflowId).catch((error: unknown) => {
    if (error instanceof SluiceError && error.code === 'UnknownRun') return null;
    throw error;
  });
  if (start && runKey.startsWith(start.runKey)) return null;
  const kept = await committedRows(database, runKey);
  const about = { run: workflowId, pipeline, rowsLost: 0, rowsKept: kept };
  if (run.status !== 'running') return { ...about, outcome: 'whole', note: `it has ${run.status}; its history did not arrive` };
  return await startAgain(sluice, database, { ...about, runKey, input: { pipeline, params }, note: 'its history did not arrive' });
}

interface Again extends Omit<ReconciledRun, 'outcome'> {
  readonly runKey: string;
  readonly input: PipelineInput;
}

/** Goes on with what the ledger has of the run, or begins anew where it has nothing. */
async function startAgain(sluice: SluiceClient, database: Database, { runKey, input, ...about }: Again): Promise<ReconciledRun> {
  try {
    const stored = await readNewestPlan(database, runKey);
    await sluice.repeat(about.run, stored ? { ...input, retry: { runKey: stored.runKey } } : input);
    return { ...about, outcome: 'started again' };
  } catch (error) {
    return { ...about, outcome: 'failed', note: `${about.note}; it could not be started again: ${describeError(error)}` };
  }
}

async function committedRows(database: Database, runKey: string): Promise<number> {
  const stored = await readNewestPlan(database, runKey);
  return stored ? (await sumCommits(database, stored.runKey)).rowsLoaded : 0;
}
