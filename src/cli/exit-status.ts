/** What the shell is told. */
import { RunFailedError } from '../client/run-failed-error.ts';
import { SluiceError } from '../errors.ts';

export const EXIT = {
  done: 0,
  /** The run failed, or something broke that nobody foresaw. */
  failed: 1,
  /** Wrong usage or configuration: nothing was started. */
  usage: 2,
  interrupted: 130,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** A person has pressed Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export function exitStatusOf(error: unknown): ExitStatus {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof RunFailedError) return EXIT.failed;
  return error instanceof SluiceError ? EXIT.usage : EXIT.failed;
}
