/** The activities as workflows call them. All timeouts and retry policies stand here. */
import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../src/activities/index.ts';

/**
 * Transient failures are retried for as long as it takes; a lost worker is noticed by its missing heartbeats. What is bounded is lack
 * of progress, and the activities do that themselves, by the ledger.
 */
const options: ActivityOptions = {
  startToCloseTimeout: '365 days',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '250 milliseconds', backoffCoefficient: 2, maximumInterval: '2 seconds' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};

export const { planRun, copyPartition, transformUnit, checkUnit, commitUnit, finishRun, planVerification, compareUnit } =
  proxyActivities<Activities>(options);

/** Short look-ups in the ledger: no heartbeats, retried when they take too long. */
export const { listPartitions, countUncommitted, listLoaded } = proxyActivities<Activities>({
  ...options,
  // Nothing else tells that the worker which had one was killed.
  startToCloseTimeout: '15 seconds',
  heartbeatTimeout: undefined,
});
