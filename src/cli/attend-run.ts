/** Waits for a run with its progress on show, and says how it ended. */
import type { RunHandle } from '../client/run-handle.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import { followRun } from './follow-run.ts';
import type { ProgressDisplay } from './progress-bar.ts';
import { type Session, type SessionDatabase, shownDatabase } from './session.ts';
import { type SummaryJson, secondsOf, summaryJson } from './summary.ts';

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
