/** The one place where errors become Temporal failures: permanent ones are not retried, transient ones are for as long as it takes. */
import { ApplicationFailure, activityInfo, CancelledFailure } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { classifyPostgres } from '../connectors/postgres/errors.ts';
import { describeError, PermanentError, SluiceError, TransientError } from '../errors.ts';

/** A worker that stops hands its work on at once: another takes it without waiting for the retry interval. */
export class Handover extends TransientError {
  constructor(what: string) {
    super('Handover', `This worker is stopping; ${what} goes on on another.`, { blameless: true });
  }
}

/** Makes one of our errors of anything thrown. */
export function toSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
    return new TransientError('Unexpected', `Unexpected ${error.name}: ${error.message}`, { cause: error });
  }
  return classifyPostgres(error, 'worker');
}

export function toFailure(error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const known = toSluiceError(error);
  return ApplicationFailure.create({
    message: known.message,
    type: known.code,
    nonRetryable: known.kind === 'permanent',
    cause: known.cause instanceof Error ? new Error(describeError(known.cause)) : undefined,
    ...(known instanceof Handover ? { nextRetryDelay: 1, category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

/** Attempts after which an activity that keeps no count in the ledger gives up on errors nobody foresaw. */
const UNFORESEEN_ATTEMPTS = 8;

/** A pipeline that one worker lacks another may have, as in a rolling deploy: for five seconds the next one is asked, then the name is a mistake. */
const ELSEWHERE = { code: 'UnknownPipeline', attempts: 20, everyMs: 250 };

/** Wraps an activity so that whatever it throws reaches Temporal as the right failure. */
export function activity<Input, Output>(work: (input: Input) => Promise<Output>): (input: Input) => Promise<Output> {
  return async (input) => {
    try {
      return await work(input);
    } catch (error) {
      // It was asked to stop and did.
      if (error instanceof CancelledFailure) throw error;
      const known = toSluiceError(error);
      if (known.code === 'Unexpected' && activityInfo().attempt >= UNFORESEEN_ATTEMPTS) {
        throw toFailure(new PermanentError('Unexpected', `${known.message} (after ${UNFORESEEN_ATTEMPTS} attempts)`, { cause: known }));
      }
      if (known.code === ELSEWHERE.code && activityInfo().attempt < ELSEWHERE.attempts) {
        throw ApplicationFailure.create({ message: known.message, type: known.code, nextRetryDelay: ELSEWHERE.everyMs });
      }
      throw toFailure(known);
    }
  };
}
