/**
 * The one error family. An error is permanent or transient by type: a transient one (a connection, a lock, a full disk) is
 * retried for as long as it takes, a permanent one (configuration, authentication, a schema that does not fit) fails at once.
 *
 * A message says what happened, where, and what to do next.
 */
export abstract class SluiceError extends Error {
  abstract readonly kind: 'permanent' | 'transient';
  /** Stable name for programs, such as `MissingTable`; also the type of the Temporal failure. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = code;
  }
}

/** Trying again will not help until somebody changes something. */
export class PermanentError extends SluiceError {
  readonly kind = 'permanent';
}

/** Trying again later may help. */
export class TransientError extends SluiceError {
  readonly kind = 'transient';
  /** The failure says nothing about the work itself (a lost connection, a shutdown): it never counts as lack of progress. */
  readonly blameless: boolean;

  constructor(code: string, message: string, options?: ErrorOptions & { blameless?: boolean }) {
    super(code, message, options);
    this.blameless = options?.blameless ?? false;
  }
}

/** A mistake in a pipeline's definition or in the parameters of a run. */
export class DefinitionError extends PermanentError {
  constructor(message: string, options?: ErrorOptions) {
    super('InvalidDefinition', message, options);
  }
}

/** The message of anything thrown, with the messages of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0 && !error.message) {
    return error.errors.map(describeError).join('; ');
  }
  return error.message || error.name;
}
