/** The activities as workflows call them. All timeouts and retry policies stand here. */
import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../src/activities/index.ts';

/**
 * Transient failures are retried for as long as it takes, at least once a second, so that work goes on two seconds after the heartbeat timeout of
 * a lost worker, and soon after an outage. What is bounded is lack
 * of progress, and the activities do that themselves, by the ledger.
 */
const options: ActivityOptions = {
  startToCloseTimeout: '365 days',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '250 milliseconds', backoffCoefficient: 2, maximumInterval: '1 second' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};

/** What moves and compares the rows of a partition. */
export const { copyPartition, compareUnit } = proxyActivities<Activities>(options);

/** The steps between: they go before partitions that wait, so that a small run does not stand behind those of large ones at each step. */
const STEP = { ...options, priority: { priorityKey: 2 } };

export const { planRun, transformUnit, checkUnit, commitUnit, finishRun, planVerification } = proxyActivities<Activities>(STEP);

/** Short look-ups in the ledger: no heartbeats, retried when they take too long. */
export const { listPartitions, countUncommitted, listLoaded } = proxyActivities<Activities>({
  ...STEP,
  // Nothing else tells that the worker which had one was killed.
  startToCloseTimeout: '15 seconds',
  heartbeatTimeout: undefined,
});

/**
 * `finishRun` for a run that is cancelled or fails: it ends also where its database is gone for good. A failover takes less; what is left undone then,
 * `sluice clean` does.
 */
export const { finishRun: leaveRun } = proxyActivities<Activities>({ ...STEP, scheduleToCloseTimeout: '5 minutes' });

/** For a run that is cancelled while it is planned: it is not held up for long. Where its database does not answer, `sluice clean` does the same later. */
export const { abandonPlan } = proxyActivities<Activities>({
  ...STEP,
  startToCloseTimeout: '5 seconds',
  scheduleToCloseTimeout: '15 seconds',
  heartbeatTimeout: undefined,
});
