/** Waits for a run with its progress on show, and says how it ended. */
import type { RunHandle } from '../client/run-handle.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import { Interrupted } from './exit-status.ts';
import { followRun } from './follow-run.ts';
import { onInterrupt } from './interrupts.ts';
import { type ProgressDisplay, progressDisplay } from './progress-bar.ts';
import type { Session, SessionDatabase } from './session.ts';
import { shownDatabase } from './shown-database.ts';
import { type SummaryJson, secondsOf, summaryJson, summaryText } from './summary.ts';

/** @throws RunFailedError, Interrupted */
export async function attendRun(
  sluice: SluiceClient,
  run: RunHandle,
  display: ProgressDisplay,
  options: { signal: AbortSignal; database: SessionDatabase | null },
): Promise<SummaryJson> {
  const summary = await followRun(sluice, run, display, options.signal);
  return summaryJson(summary, { seconds: await secondsOf(run), webUi: run.webUi, database: shownDatabase(options.database) });
}

/**
 * Waits for a run that others drive, and answers with its summary. Ctrl-C ends the waiting, not the run.
 *
 * @param advice what the person can do then
 * @throws RunFailedError, Interrupted
 */
export async function waitForRun(session: Session, sluice: SluiceClient, run: RunHandle, advice: string): Promise<void> {
  const { output } = session;
  const interrupts = onInterrupt();
  const display = progressDisplay(output.human);
  display.note(startedText(run));
  try {
    const summary = await attendRun(sluice, run, display, { signal: interrupts.signal, database: await session.database() });
    output.result(summary, () => summaryText(summary));
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new Interrupted(`no longer waiting; ${run.id} goes on. ${advice}`);
  } finally {
    display.stop();
    interrupts.release();
  }
}

/** What is known of a run as soon as it has been started. */
export function startedText(run: RunHandle): string {
  const how = run.attached ? `${run.id} was running already: attached to it.` : `${run.id} started.`;
  return run.webUi ? `${how} Web UI: ${run.webUi}` : how;
}

/** The answer of a command that does not wait. */
export function answerStarted(session: Session, run: RunHandle, pipeline: string): void {
  session.output.result({ run: run.id, pipeline, status: 'running', attached: run.attached, webUi: run.webUi }, () =>
    [startedText(run), `"sluice show ${run.id}" says how it goes.`].join('\n'),
  );
}
