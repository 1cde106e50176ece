/** Measures a case: both sides in turn, each time into fresh tables, and compares what they loaded. */
import type { WorkerPool } from '../workers/pool.ts';
import { activitySpans } from './activity-spans.ts';
import type { ByHand } from './by-hand.ts';
import type { BenchCase } from './cases.ts';
import { type Content, contentOf } from './content.ts';
import { execute, prepareTable } from './database.ts';
import { LoadMeter, untilQuiet } from './load-meter.ts';
import { type Measurement, measureClient, startMeter } from './meter.ts';
import { cpuSeconds, peakBytes, resetPeak } from './processes.ts';
import { type CaseResult, median, type SideResult } from './results.ts';
import type { BenchStack } from './stack.ts';

/** What a case's own measurements say. */
export type MeasuredCase = Omit<CaseResult, 'ratioWithoutOverhead' | 'over' | 'peers' | 'peerNotes'>;

export interface CaseRun {
  readonly ours: Measurement;
  readonly limit: Measurement;
  readonly spans: Record<string, number>;
  readonly content: Content;
}

export interface MeasuringOptions {
  /** That of the whole bench: what is not measured is left out of it. */
  readonly load: LoadMeter;
  /** How long to wait for others to leave the machine alone, before each round; 0: not at all, and what was noisy counts. */
  readonly patienceMs: number;
  readonly say: (message: string) => void;
}

/** So many rounds of a case may be noisy, and are repeated; from then on they count. */
const MOST_NOISY = 20;

export class Measuring {
  readonly #stack: BenchStack;
  readonly #byHand: ByHand;
  readonly #options: MeasuringOptions;
  #runs = 0;

  constructor(stack: BenchStack, byHand: ByHand, options: MeasuringOptions) {
    this.#stack = stack;
    this.#byHand = byHand;
    this.#options = options;
  }

  /** A B A B ..., and the medians. */
  async case(of: BenchCase, pool: WorkerPool, repeats: number): Promise<MeasuredCase> {
    const { load: whole, patienceMs, say } = this.#options;
    const runs: CaseRun[] = [];
    let foreignShare = 0;
    for (let noisy = 0; runs.length < repeats; ) {
      const wait = new LoadMeter();
      if (patienceMs > 0) await untilQuiet(patienceMs);
      whole.leaveOut(wait);
      const load = new LoadMeter();
      const run = await this.round(of, pool);
      const seen = load.read();
      if (patienceMs > 0 && seen.noisy && noisy < MOST_NOISY) {
        noisy += 1;
        say(`others used ${(seen.foreignShare * 100).toFixed(0)} % of the machine: this round does not count`);
        whole.leaveOut(load);
        continue;
      }
      foreignShare = Math.max(foreignShare, seen.foreignShare);
      runs.push(run);
    }
    const ours = sideResult(
      runs.map((run) => run.ours),
      of.rows,
    );
    const limit = sideResult(
      runs.map((run) => run.limit),
      of.rows,
    );
    const spans = Object.keys(runs[0]?.spans ?? {}).map((name) => [name, median(runs.map((run) => run.spans[name] ?? 0))] as const);
    const { content } = runs[0] as CaseRun;
    return {
      case: of.name,
      at: new Date().toISOString(),
      rows: of.rows,
      ours,
      limit,
      // Of the pairs: what disturbs the machine for a while disturbs both.
      ratio: median(runs.map((run) => run.ours.seconds / run.limit.seconds)),
      spans: Object.fromEntries(spans),
      wanted: of.wanted,
      rowsPerCpuSecond: ours.cpuSeconds > 0 ? of.rows / ours.cpuSeconds : null,
      content,
      foreignShare,
    };
  }

  /**
   * Each side once.
   * @throws Error where they did not load the same rows
   */
  async round(of: BenchCase, pool: WorkerPool): Promise<CaseRun> {
    const { target } = this.#stack;
    await prepareTable(target, of.ours, of.table);
    const { ours, runId } = await this.sluice(of, pool);
    const loaded = await contentOf(target, of.ours);
    const spans = await activitySpans(this.#stack.sluice, runId, ours.seconds);
    await execute(target, `drop table ${of.ours}`);

    await prepareTable(target, of.byHand, of.table);
    const limit = await measureClient(this.#stack, () => this.#byHand.do(of.hand), this.#byHand.inProcess);
    const expected = await contentOf(target, of.byHand);
    await execute(target, `drop table ${of.byHand}`);
    requireEqual(of, loaded, expected);
    return { ours, limit, spans, content: loaded };
  }

  /** A run of Sluice alone, with what it used. */
  async sluice(of: Pick<BenchCase, 'pipeline' | 'params'>, pool: WorkerPool): Promise<{ ours: Measurement; runId: string }> {
    this.#runs += 1;
    const id = `bench-${this.#runs}`;
    const ours = await this.#used(pool, async () => {
      const run = await this.#stack.sluice.start(of.pipeline, { params: of.params, id });
      await run.result();
    });
    return { ours, runId: id };
  }

  /** The proof that a run's rows are those of its source, with what it used. */
  async verification(runId: string, pool: WorkerPool): Promise<Measurement> {
    return await this.#used(pool, async () => {
      const { equal } = await (await this.#stack.sluice.verify(runId)).result();
      if (!equal) throw new Error(`run ${runId}: what was loaded is said to differ from its source`);
    });
  }

  async #used(pool: WorkerPool, work: () => Promise<void>): Promise<Measurement> {
    const { postgres, temporal } = this.#stack;
    const workers = pool.pids();
    for (const pid of workers) resetPeak(pid);
    const used = startMeter({ client: () => sum(workers.map((pid) => cpuSeconds(pid))), postgres, temporal });
    await work();
    const took = used();
    if (pool.restarts() > 0) throw new Error('a worker ended while it was measured; look at its log');
    return { ...took, peakBytesPerProcess: workers.flatMap((pid) => peakBytes(pid) ?? []) };
  }
}

/** Medians over the measurements of a side, and peaks over all of them. */
export function sideResult(all: readonly Measurement[], rows: number): SideResult {
  const middle = (of: (each: Measurement) => number) => median(all.map(of));
  const seconds = middle((each) => each.seconds);
  const processes = Math.max(0, ...all.map((each) => each.peakBytesPerProcess.length));
  const peaks = Array.from({ length: processes }, (_, at) => Math.max(...all.map((each) => each.peakBytesPerProcess[at] ?? 0)));
  return {
    seconds,
    rowsPerSecond: rows / seconds,
    cpuSeconds: middle((each) => each.cpuSeconds),
    serverCpuSeconds: middle((each) => each.serverCpuSeconds),
    temporalCpuSeconds: middle((each) => each.temporalCpuSeconds),
    peakBytes: peaks.length > 0 ? Math.max(...peaks) : null,
    peakBytesPerProcess: peaks,
    all: all.map((each) => each.seconds),
  };
}

export function requireEqual(of: Pick<BenchCase, 'name'>, ours: Content, byHand: Content): void {
  if (ours.rows === byHand.rows && ours.checksum === byHand.checksum) return;
  throw new Error(
    `${of.name}: Sluice loaded ${ours.rows} rows with checksum ${ours.checksum}, by hand it were ${byHand.rows} with ${byHand.checksum}`,
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
