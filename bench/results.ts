/** The figures, as `--json` prints them. */
import type { Content } from './content.ts';
import type { Load } from './load-meter.ts';

/** One side of a case: medians over the repeats, peaks over all of them. */
export interface SideResult {
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** Of the clients: Sluice's workers, or the processes of the work by hand. */
  readonly cpuSeconds: number;
  /** Of the database server. */
  readonly serverCpuSeconds: number;
  /** Of the Temporal server. */
  readonly temporalCpuSeconds: number;
  /** Peak memory of the largest client process; null where the system does not tell. */
  readonly peakBytes: number | null;
  /** The same for each client process: each worker. */
  readonly peakBytesPerProcess: readonly number[];
  /** All measurements, in the order taken. */
  readonly all: readonly number[];
}

export interface CaseResult {
  readonly case: string;
  /** Rows moved. */
  readonly rows: number;
  readonly ours: SideResult;
  /** The same work by hand: the limit. */
  readonly limit: SideResult;
  /** Our time over the limit's: the median of the pairs measured one after the other. */
  readonly ratio: number;
  /** The same with the fixed overhead of a run taken off on both sides; null where it was not measured. */
  readonly ratioWithoutOverhead: number | null;
  /** Seconds of each kind of activity, from first scheduled to last completed, and of what lies between. Medians. */
  readonly spans: { readonly [activity: string]: number };
  /** What both sides loaded: equal, or the bench fails. */
  readonly content: Content;
  readonly foreignShare: number;
}

export interface TakeoverResult {
  readonly kills: number;
  /** From SIGKILL of a worker to the first new chunk, by another one, of a partition that it had in hand. Median. */
  readonly seconds: number;
  /** From SIGKILL to the first new chunk of any partition. Median. */
  readonly anyChunkSeconds: number;
  readonly all: readonly number[];
}

export interface BenchResult {
  readonly quick: boolean;
  readonly repeats: number;
  readonly workers: number;
  /** What did the work by hand. */
  readonly byHand: string;
  readonly postgres: string;
  readonly node: string;
  readonly load: Load;
  /** A run of one row. */
  readonly overhead: CaseResult | null;
  readonly cases: readonly CaseResult[];
  readonly takeover: TakeoverResult | null;
  readonly seconds: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
