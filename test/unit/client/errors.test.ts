import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, TerminatedFailure } from '@temporalio/common';
import { runFailure } from '../../../src/client/errors.ts';
import { RunFailedError } from '../../../src/client/run-failed-error.ts';

const RETRY = 'NON_RETRYABLE_FAILURE' as const;
const ended = (cause: Error) => new WorkflowFailedError('Workflow execution failed', cause, RETRY);

it('says what stands at the bottom of a failed run', () => {
  const bottom = ApplicationFailure.nonRetryable('target postgres://db/app: there is no table "a"', 'MissingTable');
  const activity = new ActivityFailure('Activity task failed', 'commitUnit', '1', RETRY, 'worker', bottom);
  const child = new ChildWorkflowFailure('default', { workflowId: 'a/load' }, 'load', RETRY, activity);
  expect(runFailure('a', ended(child))).toMatchObject({
    code: 'MissingTable',
    status: 'failed',
    run: 'a',
    message: 'target postgres://db/app: there is no table "a"',
  });
});

it('tells a cancelled run from a failed one', () => {
  expect(runFailure('a', ended(new CancelledFailure('Workflow canceled')))).toMatchObject({ code: 'Cancelled', status: 'cancelled' });
});

it('says what to do about a terminated run', () => {
  const error = runFailure('a', ended(new TerminatedFailure('by hand')));
  expect(error).toBeInstanceOf(RunFailedError);
  expect(error.message).toContain('sluice retry a');
});

it('says that Temporal does not answer', () => {
  const unavailable = Object.assign(new Error('14 UNAVAILABLE: connect ECONNREFUSED'), {
    code: 14,
    details: 'connect ECONNREFUSED',
    metadata: {},
  });
  expect(runFailure('a', unavailable)).toMatchObject({ code: 'TemporalUnreachable', kind: 'transient' });
});
