/** What the stages give to their activities and get back. Counts and references only. */
import type { Counts, Json, PartitionRef, PlanSummary, QuarantineReason, RunRef, Stage, StoppedPartition } from './run.ts';

export interface PlanRunInput {
  readonly runKey: string;
  readonly workflowId: string;
  readonly pipeline: string;
  readonly params: { readonly [name: string]: Json };
  /** Go on with this run's plan instead of making one. */
  readonly retryOf: string | null;
  /** The run was planned before: where the ledger does not know it, the plan is lost, and another one is made, also by a retry. */
  readonly planned?: boolean;
}

/** A run that was cancelled while it was planned. */
export interface AbandonPlanInput {
  readonly runKey: string;
  readonly pipeline: string;
  readonly params: { readonly [name: string]: Json };
  readonly reason: string;
}

/** Which partitions a stage still has to do, in pages. */
export interface ListPartitionsInput {
  readonly run: RunRef;
  readonly stage: Stage;
  /** Id of the last partition of the page before; -1 at the start. */
  readonly after: number;
  readonly limit: number;
  /** Only these, by name. */
  readonly names: readonly string[] | null;
}

export interface CopyPartitionInput {
  readonly run: RunRef;
  readonly partition: PartitionRef;
}

export interface CopyPartitionResult extends Counts {
  /** False where the copy was asked to stop (pause, cancel) and ended after the chunk in flight. */
  readonly whole: boolean;
}

/** Heartbeat details of `copyPartition`; for people and progress only, never to resume from. */
export interface CopyHeartbeat extends Counts {
  readonly partition: string;
}

/** What is transformed, checked and committed at once: the whole run (null) or one partition. */
export interface UnitInput {
  readonly run: RunRef;
  readonly partition: PartitionRef | null;
}

/** `incomplete`: staging does not hold what the plan asks for (a crash of the database emptied it); extract must go on. */
export type TransformResult =
  | { readonly status: 'transformed'; readonly rowsIn: number; readonly rowsOut: number; readonly rowsQuarantined: number }
  | { readonly status: 'incomplete'; readonly missing: number };

export type CheckResult =
  | { readonly status: 'passed'; readonly checks: number }
  | { readonly status: 'incomplete'; readonly missing: number };

export type CommitResult =
  | { readonly status: 'committed'; readonly rowsLoaded: number; readonly rowsChanged: number }
  | { readonly status: 'incomplete'; readonly missing: number }
  /** Another run moved the watermark since this one was planned. */
  | { readonly status: 'superseded' };

export interface FinishRunInput {
  readonly run: RunRef;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'superseded';
  /** Why it failed, for people. */
  readonly reason: string | null;
}

/** Totals of a run from the ledger. */
export interface RunTotals extends Counts {
  readonly rowsLoaded: number;
  readonly rowsChanged: number;
  readonly partitionsCommitted: number;
  readonly quarantine: readonly QuarantineReason[];
  readonly target: string;
  readonly watermark: Json;
  /** A synchronous standby has what was committed; null where none has, and the pipeline ignores that. */
  readonly replicated?: boolean | null;
  /** Units that the ledger does not have, though they were said to be committed: a failover of the database has lost them. The run goes on. */
  readonly missing?: number;
}

/** Input of a stage's workflow, and what it hands itself when it continues as new. */
export interface StageInput {
  readonly plan: PlanSummary;
  readonly paused: boolean;
  /** Partitions to do, by name; null for all. */
  readonly only: readonly string[] | null;
  /** Set when the stage continues as new. */
  readonly carried: StageCarried | null;
}

export interface StageCarried {
  readonly after: number;
  readonly totals: StageTotals;
}

export interface StageTotals extends Counts {
  readonly partitions: number;
  readonly rowsLoaded: number;
  readonly stopped: readonly StoppedPartition[];
  readonly stoppedCount: number;
  /** Units whose staging was found incomplete. */
  readonly incomplete: number;
  readonly superseded: boolean;
}

/** Signal from a stage to its pipeline, so that the query `progress` can answer. */
export interface StageProgress {
  readonly stage: Stage;
  readonly totals: StageTotals;
}
