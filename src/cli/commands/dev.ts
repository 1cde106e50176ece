import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startWorkerPool, type WorkerPool } from '../../../workers/pool.ts';
import { type Stack, startStack, stopStack } from '../../local/stack.ts';
import { attendRun, startedText } from '../attend-run.ts';
import { Interrupted } from '../exit-status.ts';
import { plural } from '../format.ts';
import { type Interrupts, onInterrupt } from '../interrupts.ts';
import { type PreparedRun, prepareRun } from '../prepare-run.ts';
import { type ProgressDisplay, progressDisplay } from '../progress-bar.ts';
import { seedSamples } from '../sample-data.ts';
import { type Session, type SessionDatabase, STATE_FOLDER } from '../session.ts';
import { shownDatabase } from '../shown-database.ts';
import { type SummaryJson, summaryText } from '../summary.ts';

export interface DevOptions {
  readonly run?: string;
  readonly param: readonly string[];
  readonly id?: string;
  readonly keep?: boolean;
  readonly stop?: boolean;
  readonly workers: number;
}

/** The program of one worker. */
const workerEntry = fileURLToPath(new URL('../../../workers/worker.js', import.meta.url));

/** `sluice dev`: Temporal, PostgreSQL and workers on this machine; with `--run`, for the time of one run. */
export async function devCommand(session: Session, options: DevOptions): Promise<void> {
  if (options.stop) return await stopCommand(session);
  // What can be wrong in the command is found before anything is started.
  const prepared = options.run === undefined ? null : await prepareRun(session, options.run, options.param);
  const parts: { pool?: WorkerPool } = {};
  const interrupts = onInterrupt(() => void parts.pool?.kill());
  const display = progressDisplay(session.output.human);
  try {
    const stack = await start(interrupts, display);
    let summary: SummaryJson | null = null;
    let kept = false;
    try {
      if (stack.database.process && (await seedSamples(stack.database.url, session.cwd)))
        display.note('The samples for the example pipelines are in the schema "samples".');
      parts.pool = await startWorkers(session, stack, options.workers, display, interrupts);
      if (prepared) {
        summary = await runOnce(session, stack, prepared, options, display, interrupts);
        kept = options.keep ?? false;
      } else {
        await stayUp(session, stack, options.workers, interrupts);
      }
    } finally {
      display.stop();
      await (kept ? stack.keep() : stack.stop());
    }
    if (summary) answer(session, stack, summary, kept);
  } finally {
    display.stop();
    interrupts.release();
  }
}

async function start(interrupts: Interrupts, display: ProgressDisplay): Promise<Stack> {
  try {
    return await startStack({ stateDir: STATE_FOLDER, onProgress: display.note, signal: interrupts.signal });
  } catch (error) {
    if (interrupts.signal.aborted) throw new Interrupted('stopped while the stack was starting; nothing is left running.');
    throw error;
  }
}

async function startWorkers(
  session: Session,
  stack: Stack,
  count: number,
  display: ProgressDisplay,
  interrupts: Interrupts,
): Promise<WorkerPool> {
  const pool = startWorkerPool({
    entry: workerEntry,
    count,
    env: { ...session.env, ...stack.env, SLUICE_TASK_QUEUE: session.taskQueue, SLUICE_PIPELINES: resolve(session.cwd, session.pipelines) },
    logs: stack.logs,
    onProgress: display.note,
  });
  stack.use(pool);
  await Promise.race([pool.ready(), interrupts.first]);
  if (interrupts.signal.aborted) throw new Interrupted('stopped while the workers were starting.');
  return pool;
}

async function runOnce(
  session: Session,
  stack: Stack,
  prepared: PreparedRun,
  options: DevOptions,
  display: ProgressDisplay,
  interrupts: Interrupts,
): Promise<SummaryJson> {
  const { address, namespace } = stack.temporal;
  // Not closed: the process ends soon, and a call that waits to be repeated must not find its channel shut down.
  const sluice = await session.connect({ address, namespace });
  const run = await sluice.start(prepared.pipeline, { params: prepared.params, id: options.id });
  display.note(startedText(run));
  try {
    return await attendRun(sluice, run, display, { signal: interrupts.signal, database: databaseOf(stack) });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new Interrupted(
      `stopped in the middle of ${run.id}. It goes on where it was when the stack is up again: the same command, or "sluice dev".`,
    );
  }
}

async function stayUp(session: Session, stack: Stack, workers: number, interrupts: Interrupts): Promise<void> {
  const { temporal } = stack;
  session.output.say(
    [
      `Up: Temporal at ${temporal.address} (namespace ${temporal.namespace}), ${plural(workers, 'worker')} on the task queue "${session.taskQueue}".`,
      ...(temporal.uiUrl ? [`  Web UI    ${temporal.uiUrl}`] : []),
      `  database  ${shownDatabase(databaseOf(stack))}`,
      `  logs      ${stack.logs}`,
      'In another terminal: sluice pipelines, sluice run PIPELINE. Ctrl-C stops everything; data and history are kept.',
    ].join('\n'),
  );
  await interrupts.first;
  session.output.note('Stopping: chunks in flight are finished first. Ctrl-C again ends the workers at once.');
}

function answer(session: Session, stack: Stack, summary: SummaryJson, kept: boolean): void {
  session.output.result(summary, () => {
    if (kept)
      return `${summaryText(summary)}\nTemporal and the database stay up. "sluice dev" starts workers again, "sluice dev --stop" stops everything.`;
    const stopped = stack.temporal.started || stack.database.started;
    return stopped
      ? `${summaryText(summary)}\nStopped; data and history are in ${STATE_FOLDER}/. With --keep they stay up to look at.`
      : summaryText(summary);
  });
}

async function stopCommand(session: Session): Promise<void> {
  const stopped = await stopStack(STATE_FOLDER);
  session.output.result({ stopped }, stopped ? 'Stopped. Data and history are kept.' : 'Nothing was running here.');
}

function databaseOf(stack: Stack): SessionDatabase {
  return { url: stack.database.url, embedded: stack.database.process !== null };
}
