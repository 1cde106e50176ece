import { PermanentError } from '../errors.ts';

/** How a run ended without success. */
export type FailedStatus = 'failed' | 'cancelled' | 'terminated' | 'timedOut';

/** A run that ended without success. `code` is the type of the failure, such as `MissingTable`. */
export class RunFailedError extends PermanentError {
  readonly run: string;
  readonly status: FailedStatus;

  constructor(run: string, status: FailedStatus, code: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.run = run;
    this.status = status;
  }
}
