/**
 * The plain data of a run that crosses the workflow boundary: references, bounds and counts, never rows.
 *
 * Everything here is JSON, and safe to import from `workflows/`.
 */

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Input of the `pipeline` workflow, as given to `temporal workflow start --input`. */
export interface PipelineInput {
  /** Name of the pipeline, as in `definePipeline({ name })`. */
  readonly pipeline: string;
  /** Parameters, checked against the pipeline's own schema by the plan. */
  readonly params?: { readonly [name: string]: Json };
  /** Set by `sluice retry`: go on with the plan and the ledger of an earlier execution. */
  readonly retry?: RetryRequest;
}

/** What `sluice retry RUN` asks for. */
export interface RetryRequest {
  /** Key of the run to go on with. */
  readonly runKey: string;
  /** Names of the partitions to retry; all that are not whole when left out. */
  readonly partitions?: readonly string[];
}

/**
 * A run as every activity is told of it. `key` is the workflow id and the id of its first execution: a closed workflow id
 * can be used again, and continuing as new and resets keep it.
 */
export interface RunRef {
  readonly key: string;
  readonly workflowId: string;
  readonly pipeline: string;
  readonly params: { readonly [name: string]: Json };
  /** Fingerprint of the definition that the plan froze. */
  readonly fingerprint: string;
}

/** How much is committed at once. */
export const COMMIT_UNITS = ['run', 'partition', 'chunk'] as const;
export type CommitUnit = (typeof COMMIT_UNITS)[number];

/** What the plan froze, in short; the long part (the partitions) is in the ledger. */
export interface PlanSummary {
  readonly run: RunRef;
  readonly partitions: number;
  readonly commit: CommitUnit;
  /** Partitions copied at the same time. */
  readonly concurrency: number;
  /** Rows in the source, where the source knows without reading them. */
  readonly rowsExpected: number | null;
  /** The server knows Sluice's search attributes (setting an unknown one would fail the workflow task for ever). */
  readonly searchAttributes: boolean;
  /** One line for people: what is moved from where to where. */
  readonly description: string;
  /** The part of an incremental pipeline that this run moves, for people; absent otherwise. */
  readonly window?: string;
  /** Which database has the ledger and the rows, by whatever address it is reached; null where its server does not tell. */
  readonly ledger?: string | null;
}

/** A partition of the plan as the workflows see it. */
export interface PartitionRef {
  /** Number within the run, from 0. */
  readonly id: number;
  /** Name for people: `2001-03`, `region=north`, `flights-1.csv`. */
  readonly name: string;
}

/** Counts that add up over chunks, partitions and stages. */
export interface Counts {
  readonly rowsRead: number;
  /** Rows that reached staging. */
  readonly rowsStaged: number;
  readonly rowsQuarantined: number;
  readonly chunks: number;
}

/** A partition that stopped for good, and why. */
export interface StoppedPartition extends PartitionRef {
  readonly reason: string;
}

export type RunStatus = 'planning' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

/** A stage: a workflow type of its own, a child of `pipeline`. */
export type Stage = 'extract' | 'transform' | 'load';

/** Where a run is. */
export type StageName = 'plan' | Stage | 'done';

/** Answer of the query `progress`. */
export interface Progress {
  readonly run: string;
  readonly pipeline: string;
  readonly status: RunStatus;
  readonly stage: StageName;
  readonly partitions: { readonly planned: number; readonly extracted: number; readonly committed: number };
  readonly rows: {
    readonly expected: number | null;
    readonly read: number;
    readonly staged: number;
    readonly quarantined: number;
    readonly loaded: number;
  };
  readonly chunks: number;
  /** Partitions that stopped for good (at most the first 20). */
  readonly stopped: readonly StoppedPartition[];
  /** What it waits for, or what to do next, for people. */
  readonly note: string;
}

/** Why rows went to quarantine, most frequent first. */
export interface QuarantineReason {
  readonly column: string | null;
  readonly reason: string;
  readonly rows: number;
}

/** Result of the `pipeline` workflow. */
export interface RunSummary {
  readonly run: string;
  readonly runKey: string;
  readonly pipeline: string;
  readonly status: 'succeeded';
  readonly rowsRead: number;
  readonly rowsLoaded: number;
  readonly rowsQuarantined: number;
  readonly quarantine: readonly QuarantineReason[];
  readonly partitions: number;
  readonly chunks: number;
  /** The target was already as this run would have made it; nothing was written. */
  readonly unchanged: boolean;
  readonly target: string;
  /** A synchronous standby of the target's server has acknowledged it; null where none has, and the pipeline ignores that. */
  readonly replicated: boolean | null;
  /** Where the next incremental run starts; null for pipelines that are not incremental. */
  readonly watermark: Json;
  /** Which database has the ledger and the rows, by whatever address it is reached; null where that is not known. */
  readonly ledger: string | null;
}
