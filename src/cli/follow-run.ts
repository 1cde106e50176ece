/** Follows a run to its end and shows how it goes. */
import { setTimeout as delay } from 'node:timers/promises';
import { type LiveProgress, pendingOfRun, withPending } from '../client/live-progress.ts';
import type { RunHandle } from '../client/run-handle.ts';
import type { SluiceClient } from '../client/sluice-client.ts';
import type { RunSummary } from '../contracts/run.ts';
import { describeError, TransientError } from '../errors.ts';
import { Interrupted } from './exit-status.ts';
import type { ProgressDisplay } from './progress-bar.ts';
import { isWaiting, viewOf } from './progress-view.ts';
import { RateMeter } from './rate-meter.ts';

/** A pause where Temporal does not answer; the run is not affected. */
const RETRY_MS = 1_000;

/**
 * Waits for the end of a run. What cannot be reached meanwhile (Temporal, a worker to answer) is waited for, and said.
 *
 * @throws RunFailedError where the run did not succeed
 * @throws Interrupted when `signal` is aborted; the run goes on
 */
export async function followRun(sluice: SluiceClient, run: RunHandle, display: ProgressDisplay, signal: AbortSignal): Promise<RunSummary> {
  const ended = new AbortController();
  const watching = watch(sluice, run, display, AbortSignal.any([signal, ended.signal]));
  try {
    return await awaitResult(run, signal);
  } finally {
    ended.abort();
    await Promise.race([watching, delay(1_000)]);
    display.stop();
  }
}

/** What has an id, and a result to wait for. */
interface Awaited<Result> {
  readonly id: string;
  result(options: { readonly signal: AbortSignal }): Promise<Result>;
}

/**
 * Waits for a result, also while Temporal cannot be reached.
 *
 * @throws Interrupted when `signal` is aborted
 */
export async function awaitResult<Result>(run: Awaited<Result>, signal: AbortSignal): Promise<Result> {
  const interrupted = new Promise<never>((_, reject) => {
    const stop = () => reject(new Interrupted(`no longer waiting for ${run.id}`));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  return await Promise.race([untilEnded(run, signal), interrupted]);
}

async function untilEnded<Result>(run: Awaited<Result>, signal: AbortSignal): Promise<Result> {
  for (;;) {
    try {
      return await run.result({ signal });
    } catch (error) {
      if (!(error instanceof TransientError) || signal.aborted) throw error;
      await delay(RETRY_MS);
    }
  }
}

async function watch(sluice: SluiceClient, run: RunHandle, display: ProgressDisplay, signal: AbortSignal): Promise<void> {
  const meter = new RateMeter();
  let waitingSince: number | null = null;
  let failures = 0;
  let said = '';
  while (!signal.aborted) {
    try {
      const live: LiveProgress = withPending(await run.progress(), await pendingOfRun(sluice.temporal, run.id));
      if (signal.aborted) return;
      const now = Date.now();
      waitingSince = isWaiting(live) ? (waitingSince ?? now) : null;
      display.show(viewOf(live, meter, waitingSince, now));
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      const message = describeError(error);
      // What lasts is said, and once: a single unanswered question happens while workers come and go.
      failures += 1;
      if (failures > 1 && message !== said) {
        display.note(message);
        said = message;
      }
      await delay(RETRY_MS, undefined, { signal }).catch(() => {});
    }
    await delay(display.everyMs, undefined, { signal }).catch(() => {});
  }
}
