/** What `verify` is asked and answers. Counts, names of partitions, and a bounded number of rows by their key. */
import type { Json, PartitionRef, RunRef, StoppedPartition } from './run.ts';

/** Input of the `verify` workflow. */
export interface VerifyInput {
  /** Workflow id of the run, for people. */
  readonly run: string;
  /** Key of the run in the ledger. */
  readonly runKey: string;
  readonly pipeline: string;
  readonly params?: { readonly [name: string]: Json };
  /** Make the rows again of the source also where the load has recorded what was staged. */
  readonly readAgain?: boolean;
  /** Set when the workflow continues as new. */
  readonly carried?: VerifyCarried;
}

export interface VerifyCarried {
  readonly plan: VerificationPlan;
  /** Id of the last partition that was compared. */
  readonly after: number;
  readonly totals: VerifyTotals;
}

/** What is compared with what; made once for a verification. */
export interface VerificationPlan {
  readonly run: RunRef;
  /** Each partition by itself; otherwise all rows of the run at once. */
  readonly byPartition: boolean;
  /** The rows of the target that are in no partition are looked at too. */
  readonly others: boolean;
  /** The load has recorded what was staged, of the whole run: where that is what the target holds, no partition need be looked at. */
  readonly recorded: boolean;
  /** Partitions of the run. */
  readonly partitions: number;
  readonly concurrency: number;
  /** In words. */
  readonly compared: string;
}

/** Rows to compare: a partition, all of the run, or (`others`) those of the target that are in no partition. */
export interface CompareInput {
  readonly run: RunRef;
  readonly partition: PartitionRef | null;
  readonly others: boolean;
  /** What the target is compared with: what the load recorded where it has, only that, or the source in any case. */
  readonly with: 'any' | 'recorded' | 'source';
  /** How many differing rows to name. */
  readonly name: number;
}

/** Where a row that differs was found. */
export type Difference = 'onlyInSource' | 'onlyInTarget' | 'different';

/** A row that differs. */
export interface DifferingRow {
  readonly partition: string | null;
  readonly difference: Difference;
  /** The key as JSON, cut where it is long; the whole row where there is no key. */
  readonly row: string;
  /** Columns that differ. */
  readonly columns: readonly string[];
}

export interface Differences {
  readonly onlyInSource: number;
  readonly onlyInTarget: number;
  readonly different: number;
}

export interface Comparison {
  /** Rows that the run should have brought, counted in the source (or, with a transform, as made of it). */
  readonly sourceRows: number;
  /** Rows of the target that they were compared with. */
  readonly targetRows: number;
  readonly differences: Differences;
  /** Rows of the target that the run did not bring and need not have: those of other runs, in the modes append and upsert. */
  readonly othersRows: number;
  readonly named: readonly DifferingRow[];
}

export interface ListLoadedInput {
  readonly run: RunRef;
  readonly after: number;
  readonly limit: number;
}

/** A partition that differs. */
export interface DifferingPartition extends Differences {
  readonly name: string;
  readonly sourceRows: number;
  readonly targetRows: number;
}

export interface VerifyTotals extends Omit<Comparison, 'named'> {
  /** Partitions compared. */
  readonly partitions: number;
  readonly differingPartitions: number;
  /** The first of them. */
  readonly differing: readonly DifferingPartition[];
  readonly named: readonly DifferingRow[];
  /** Partitions that could not be compared, and why (the first of them). */
  readonly stopped: readonly StoppedPartition[];
  readonly stoppedCount: number;
}

/** Result of the `verify` workflow. */
export interface VerifySummary extends VerifyTotals {
  readonly run: string;
  readonly runKey: string;
  readonly pipeline: string;
  /** All that was to be compared was, and nothing differs. */
  readonly equal: boolean;
  /** What was compared with what, in words. */
  readonly compared: string;
}
