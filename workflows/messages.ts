/** Signals and queries, and how failures are put into words. */
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, defineQuery, defineSignal } from '@temporalio/workflow';
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

/** Fails the run with the message of what is at the bottom of it. */
export function runFailure(error: unknown, runKey: string | null): ApplicationFailure {
  const root = rootOf(error);
  return ApplicationFailure.create({
    message: reasonOf(error),
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
