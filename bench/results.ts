/** The figures, as `--json` prints them. */
import type { Wanted } from './cases.ts';
import type { Content } from './content.ts';
import type { Load } from './load-meter.ts';
import type { PeerName } from './peers/peer.ts';

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
  /** When it was measured, ISO 8601. */
  readonly at: string;
  /** Rows moved. */
  readonly rows: number;
  readonly ours: SideResult;
  /** The same work by hand: the limit. */
  readonly limit: SideResult;
  /** Our time over the limit's: the median of the pairs measured one after the other. */
  readonly ratio: number;
  /** The same with the fixed overhead of a run taken off on both sides; null where it was not measured. */
  readonly ratioWithoutOverhead: number | null;
  /** Where to arrive at. */
  readonly wanted: Wanted;
  /** Our time over that of the case that `wanted.over` names; null where that was not measured. */
  readonly over: number | null;
  /** Rows for each CPU second of the workers; null where it took no time to speak of. */
  readonly rowsPerCpuSecond: number | null;
  /** The same by other programs; null where they cannot, or were not asked. */
  readonly peers: { readonly [peer in PeerName]: PeerResult | null };
  /** Why not, and what else there is to say. */
  readonly peerNotes: { readonly [peer in PeerName]: string };
  /** Seconds of each kind of activity, from first scheduled to last completed, and of what lies between. Medians. */
  readonly spans: { readonly [activity: string]: number };
  /** What both sides loaded: equal, or the bench fails. */
  readonly content: Content;
  /** What others used of the machine in the noisiest round that counts. */
  readonly foreignShare: number;
}

export interface PeerResult extends Omit<SideResult, 'temporalCpuSeconds'> {
  /** Its time over ours. */
  readonly overOurs: number;
  /** Its table has the same rows as ours. */
  readonly sameContent: boolean;
}

export interface TakeoverResult {
  readonly kills: number;
  /** From SIGKILL of a worker to the first new chunk, by another one, of a partition that it had in hand. Median. */
  readonly seconds: number;
  /** From SIGKILL to the first new chunk of any partition. Median. */
  readonly anyChunkSeconds: number;
  readonly all: readonly number[];
}

/** What a run costs beside the rows. All in seconds, medians. */
export interface OrchestrationResult {
  /** From the start of `sluice run` to the first chunk recorded, on a warm stack. */
  readonly firstChunkSeconds: number;
  /** `sluice run` of one small partition, from its start to its exit. */
  readonly onePartitionSeconds: number;
  /** A run with many tiny partitions less one with a single one, divided. */
  readonly furtherPartitionSeconds: number;
  readonly furtherPartitions: number;
  /** Partitions a second of a long run: of its first and last tenth. */
  readonly steady: { readonly partitions: number; readonly firstPerSecond: number; readonly lastPerSecond: number };
  /** `sluice dev`, from its start until it says that it is up, where everything is there already. */
  readonly devReadySeconds: number;
  readonly all: { readonly firstChunk: readonly number[]; readonly onePartition: readonly number[]; readonly devReady: readonly number[] };
}

/** The same run with one worker and with two. */
export interface ScalingResult {
  readonly case: string;
  readonly rows: number;
  readonly one: SideResult;
  readonly two: SideResult;
  /** Time with one worker over time with two. */
  readonly speedUp: number;
}

/** A run, and the proof that its rows are those of its source. */
export interface VerificationResult {
  readonly case: string;
  readonly rows: number;
  readonly load: SideResult;
  readonly verification: SideResult;
  /** Time of the proof over that of the load. */
  readonly share: number;
  /** The same in CPU seconds of workers and server. */
  readonly cpuShare: number;
}

/** Where and how it was measured. */
export interface BenchSetting {
  readonly at: string;
  readonly version: string;
  readonly quick: boolean;
  readonly rows: number;
  readonly repeats: number;
  readonly workers: number;
  /** What did the work by hand, and the other programs. */
  readonly byHand: string;
  readonly peers: readonly string[];
  readonly postgres: string;
  readonly node: string;
  readonly load: Load;
  readonly seconds: number;
}

export interface BenchResult extends BenchSetting {
  /** A run of one row. */
  readonly overhead: CaseResult | null;
  readonly cases: readonly CaseResult[];
  /** The same cases at growing numbers of rows. */
  readonly growth: readonly CaseResult[];
  readonly scaling: readonly ScalingResult[];
  readonly verification: readonly VerificationResult[];
  readonly orchestration: OrchestrationResult | null;
  readonly takeover: TakeoverResult | null;
}

/** Those measured anew in the places of the old ones, and what is new behind them. */
export function mergeCases<Case extends Pick<CaseResult, 'case'>>(before: readonly Case[], measured: readonly Case[]): Case[] {
  const anew = new Map(measured.map((each) => [each.case, each]));
  const kept = before.map((each) => anew.get(each.case) ?? each);
  const known = new Set(before.map((each) => each.case));
  return [...kept, ...measured.filter((each) => !known.has(each.case))];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
