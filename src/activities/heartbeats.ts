/** Heartbeats for as long as an activity works, so that a lost worker is noticed and a cancellation arrives. */
import { Context } from '@temporalio/activity';

const INTERVAL_MS = 1_000;

/** Runs `work` with a heartbeat every second; `details` are for people, never to resume from. */
export async function withHeartbeats<T>(work: () => Promise<T>, details: () => unknown = () => undefined): Promise<T> {
  const context = Context.current();
  // None at once: what is done within the interval does not bother the server with it.
  const timer = setInterval(() => context.heartbeat(details()), INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
