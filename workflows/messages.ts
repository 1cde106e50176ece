/** Signals and queries, and how failures are put into words. */
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, defineQuery, defineSignal, TimeoutFailure } from '@temporalio/workflow';
import { PAUSE_SIGNAL, PROGRESS_QUERY, RESUME_SIGNAL } from '../src/contracts/names.ts';
import type { Progress } from '../src/contracts/run.ts';
import type { StageProgress } from '../src/contracts/stages.ts';

export const pauseSignal = defineSignal(PAUSE_SIGNAL);
export const resumeSignal = defineSignal(RESUME_SIGNAL);
export const stageProgressSignal = defineSignal<[StageProgress]>('stageProgress');
export const progressQuery = defineQuery<Progress>(PROGRESS_QUERY);

/** The failure at the bottom of what Temporal wrapped around it. */
export function rootOf(error: unknown): unknown {
  let root = error;
  while ((root instanceof ActivityFailure || root instanceof ChildWorkflowFailure) && root.cause) root = root.cause;
  return root;
}

export function reasonOf(error: unknown): string {
  const root = rootOf(error);
  return root instanceof Error ? root.message : String(root);
}

/** Fails the run with the type of what is at the bottom of it, and with its message where no other is given. */
export function runFailure(error: unknown, runKey: string | null, message = reasonOf(error)): ApplicationFailure {
  const root = rootOf(error);
  return ApplicationFailure.create({
    message,
    type: root instanceof ApplicationFailure ? (root.type ?? 'RunFailed') : 'RunFailed',
    nonRetryable: true,
    details: [{ runKey }],
  });
}

/** The ledger does not know the run, though it was planned, or is gone itself. */
export function isPlanLost(error: unknown): boolean {
  const root = rootOf(error);
  if (!(root instanceof ApplicationFailure)) return false;
  return root.type === 'RunEnded' || (root.type === 'MissingTable' && root.message.includes('relation "sluice.'));
}

/** What to do where a run ended and its ledger could not be told of it; nothing where the ledger does not know the run. */
export function leftBehind(error: unknown): string {
  if (isPlanLost(error)) return '';
  const root = rootOf(error);
  const why = reasonOf(root instanceof TimeoutFailure ? (root.cause ?? root) : root).replace(/\.$/, '');
  return (
    `The ledger could not be told that the run has ended (${why}). ` +
    'When its database answers: sluice clean (SLUICE_DATABASE_URL names that database), which drops what is staged, and only then sluice retry.'
  );
}
