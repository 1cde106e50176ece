/** What a person can do about a run as it stands. */
import type { PendingActivity } from '../client/live-progress.ts';
import type { ListedStatus } from '../client/run-info.ts';
import { waitingActivities } from './progress-view.ts';

export function nextStep(
  run: string,
  status: ListedStatus,
  facts: { pending: readonly PendingActivity[]; answers: boolean; stopped: number },
): string {
  switch (status) {
    case 'succeeded':
      return 'Nothing: it is done.';
    case 'failed':
      return `Correct what the reason says, then: sluice retry ${run}. What is staged is kept until "sluice clean".`;
    case 'cancelled':
    case 'terminated':
    case 'timedOut':
      return `sluice retry ${run} goes on with it; "sluice clean" collects what it left.`;
    case 'paused':
      return `sluice resume ${run} lets it go on.`;
    default:
  }
  if (!facts.answers) return 'No worker answers: start one with "sluice worker". The run goes on by itself then.';
  if (waitingActivities(facts.pending).length > 0) {
    return `It tries again by itself until what it waits for is back. To give up: sluice cancel ${run}`;
  }
  if (facts.stopped > 0) return `Some partitions stopped; the others go on. When it has ended: sluice retry ${run}`;
  return 'Nothing: it goes on by itself.';
}
