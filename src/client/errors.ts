/** What a run's end and Temporal's answers mean to a person. */
import { isGrpcServiceError, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { SluiceError as AnySluiceError, describeError, PermanentError, type SluiceError, TransientError } from '../errors.ts';
import { RunFailedError } from './run-failed-error.ts';

/** The failure that stands at the bottom: what the wrappers of activities and children only pass on. */
export function rootFailure(failure: unknown): unknown {
  let found = failure;
  while ((found instanceof ActivityFailure || found instanceof ChildWorkflowFailure) && found.cause) found = found.cause;
  return found;
}

/** Type and message of a failure, for people. */
export function describeFailure(failure: unknown): { code: string; message: string } {
  const root = rootFailure(failure);
  if (root instanceof ApplicationFailure) return { code: root.type ?? 'Failed', message: root.message };
  if (root instanceof CancelledFailure) return { code: 'Cancelled', message: root.message };
  if (root instanceof TerminatedFailure) return { code: 'Terminated', message: root.message };
  if (root instanceof TimeoutFailure) return { code: 'TimedOut', message: root.message };
  return { code: root instanceof Error ? root.name : 'Failed', message: describeError(root) };
}

/** What waiting for a run's result threw, as an error for people. */
export function runFailure(run: string, error: unknown): Error {
  if (!(error instanceof WorkflowFailedError)) return serviceFailure(error, run);
  const { code, message } = describeFailure(error.cause ?? error);
  const root = rootFailure(error.cause);
  if (root instanceof CancelledFailure) {
    return new RunFailedError(run, 'cancelled', 'Cancelled', `${run} was cancelled. What was not committed before has changed nothing.`, {
      cause: error,
    });
  }
  if (root instanceof TerminatedFailure) {
    return new RunFailedError(
      run,
      'terminated',
      code,
      `${run} was terminated. "sluice clean" collects what it left; "sluice retry ${run}" goes on with it.`,
      {
        cause: error,
      },
    );
  }
  if (root instanceof TimeoutFailure && error.cause === root)
    return new RunFailedError(run, 'timedOut', code, `${run}: ${message}`, { cause: error });
  return new RunFailedError(run, 'failed', code, message, { cause: error });
}

/** An answer of Temporal's service, as an error for people. */
export function serviceFailure(error: unknown, run?: string): SluiceError {
  if (error instanceof AnySluiceError) return error;
  if (error instanceof WorkflowNotFoundError) {
    return new PermanentError(
      'UnknownRun',
      `there is no run "${run ?? error.workflowId}" that this can be done with. "sluice list" shows the runs.`,
      { cause: error },
    );
  }
  const said = describeError(error);
  // gRPC status codes: https://grpc.io/docs/guides/status-codes/
  const status = isGrpcServiceError(error)
    ? error.code
    : isGrpcServiceError((error as Error)?.cause)
      ? ((error as Error).cause as { code: number }).code
      : null;
  const detail = grpcDetails(error) ?? said;
  if (status === 5)
    return new PermanentError('UnknownRun', `${run ? `run "${run}": ` : ''}${detail}. "sluice list" shows the runs.`, { cause: error });
  if (status === 7 || status === 16)
    return new PermanentError('AuthenticationFailed', `Temporal refused: ${detail}. Check the API key or the certificates (TEMPORAL_*).`, {
      cause: error,
    });
  if (status === 4 || status === 9)
    return new TransientError('NoWorker', `${detail}. Perhaps no worker is there: start one with "sluice worker".`, { cause: error });
  if (status === 14) return new TransientError('TemporalUnreachable', `Temporal does not answer: ${detail}`, { cause: error });
  if (status !== null) return new PermanentError('TemporalRefused', `Temporal: ${detail}`, { cause: error });
  return new PermanentError(error instanceof Error ? error.name : 'Failed', said, { cause: error });
}

function grpcDetails(error: unknown): string | null {
  for (const each of [error, (error as Error | undefined)?.cause]) {
    const details = (each as { details?: unknown } | undefined)?.details;
    if (typeof details === 'string' && details) return details.replace(/\.$/, '');
  }
  return null;
}
