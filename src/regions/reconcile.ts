/**
 * After a move, compares what Temporal's histories say with the ledger, which is the authority: a run that goes on repeats by itself what the target
 * has lost; one that had ended, or whose history did not arrive, is started again. May be repeated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunFilter, RunInfo } from '../client/run-info.ts';
import { readRunStart } from '../client/run-start.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import type { Database } from '../connectors/postgres/database.ts';
import type { Json, PipelineInput, RunSummary } from '../contracts/run.ts';
import { describeError, SluiceError } from '../errors.ts';
import { ledgerIdentity } from '../ledger/identity.ts';
import { readNewestPlan } from '../ledger/run-plan.ts';
import { sumCommits } from '../ledger/runs.ts';
import { AT_A_TIME, isElsewhere, MOST_RUNS, type OpenRun } from './compare-open-runs.ts';
import { inParallel } from './in-parallel.ts';

/** `goes on`: it is open. `started again`: here, by this command. `whole`: the target has all of it, though its history did not arrive. */
export type Outcome = 'goes on' | 'started again' | 'whole' | 'failed';

export interface ReconciledRun {
  readonly run: string;
  readonly pipeline: string;
  readonly outcome: Outcome;
  /**
   * Rows that were committed according to the history, and are not according to the ledger. They are read from the source again. Null where the history
   * could not be read.
   */
  readonly rowsLost: number | null;
  /** Rows that are committed. */
  readonly rowsKept: number;
  /** For people. */
  readonly note: string;
}

const ANSWER_MS = 30_000;
/** Clocks of regions differ, and a commit is younger than what it belongs to. */
const MARGIN_MS = 60_000;
const DAY_MS = 86_400_000;

export interface Moved {
  /** The runs that were open, as they were compared before they went on; null where they could not be. */
  readonly open: readonly OpenRun[] | null;
  /** The last commit that the target had got when it took over: what ended before is there. */
  readonly lastReplicated: Date | null;
}

export async function reconcile(sluice: SluiceClient, database: Database, moved: Moved): Promise<ReconciledRun[]> {
  const since = new Date((moved.lastReplicated?.getTime() ?? Date.now() - DAY_MS) - MARGIN_MS);
  const ledger = await ledgerIdentity(database);
  const open = moved.open ?? (await listed(sluice, { open: true })).map(notCompared);
  const ended = (await listed(sluice, { status: 'succeeded' })).filter(({ closedAt }) => closedAt !== null && closedAt > since);
  const again = await inParallel(ended, AT_A_TIME, (info) => endedRun(sluice, database, ledger, info));
  const known = new Set([...open.map(({ run }) => run), ...ended.map(({ id }) => id)]);
  const others = (await runsOfLedger(database, since)).filter(({ workflowId }) => !known.has(workflowId));
  const unknown = await inParallel(others, AT_A_TIME, (run) => runWithoutHistory(sluice, database, run));
  return [
    ...open.map((run) => ({ ...run, outcome: 'goes on' as const })),
    ...[...again, ...unknown].flatMap((run) => (run === null ? [] : [run])),
  ];
}

/** The namespace has just moved: its services may need a moment until they answer. */
async function listed(sluice: SluiceClient, filter: RunFilter): Promise<RunInfo[]> {
  for (const deadline = Date.now() + ANSWER_MS; ; await delay(500)) {
    try {
      return await sluice.list({ ...filter, limit: MOST_RUNS });
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

function notCompared({ id, pipeline }: RunInfo): OpenRun {
  return { run: id, pipeline, rowsLost: null, rowsKept: 0, note: 'it was not compared before it went on' };
}

/** Null where the target has all of it, or it is not the regions' target. */
async function endedRun(sluice: SluiceClient, database: Database, ledger: string | null, info: RunInfo): Promise<ReconciledRun | null> {
  const { id, runId, pipeline } = info;
  try {
    const client = sluice.temporal;
    // This execution: its id may have been used again.
    const handle = client.workflow.getHandle(id, runId, { followRuns: false });
    const summary = await client.withDeadline(Date.now() + ANSWER_MS, () => handle.result() as Promise<RunSummary>);
    if (isElsewhere(summary.ledger, ledger)) return null;
    const { rowsLoaded, runKey } = summary;
    const kept = await committedRows(database, runKey);
    if (kept >= rowsLoaded) return null;
    const { pipeline: name, params } = await readRunStart(client, id, runId);
    return await startAgain(sluice, database, {
      ...{ run: id, pipeline, rowsLost: rowsLoaded - kept, rowsKept: kept },
      ...{ runKey, input: { pipeline: name, params }, note: 'it had succeeded, and the target has lost its commit' },
    });
  } catch (error) {
    const note = `it had succeeded, and could not be compared with the target (${describeError(error)}): sluice verify ${id}`;
    return { run: id, pipeline, outcome: 'failed', rowsLost: null, rowsKept: 0, note };
  }
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
