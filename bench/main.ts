/** `npm run bench`: Sluice against the same work by hand, on servers of its own. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { findByHand } from './by-hand.ts';
import { Cleanups } from './cleanups.ts';
import { execute } from './database.ts';
import { requireRoom } from './disk-room.ts';
import { measureGrowth } from './growth.ts';
import { Kept } from './kept.ts';
import { LoadMeter } from './load-meter.ts';
import { Measuring } from './measure.ts';
import { type BenchOptions, parseOptions } from './options.ts';
import { measureOrchestration } from './orchestration.ts';
import { Peers } from './peers/compare.ts';
import { report } from './report.ts';
import type { BenchResult } from './results.ts';
import { measureScaling } from './scaling.ts';
import { ROOT, startBenchStack } from './stack.ts';
import { measureCases } from './suite-cases.ts';
import type { BenchContext } from './suites.ts';
import { measureVerification } from './verification.ts';
import { WarmWorkers } from './warm-workers.ts';
import { writeResults } from './write-results.ts';

/** How long a round waits for a quiet machine. */
const PATIENCE_MS = 15 * 60_000;

const cleanups = new Cleanups();
const say = (message: string) => console.error(`bench ${process.uptime().toFixed(0).padStart(4)} s: ${message}`);

async function bench(options: BenchOptions): Promise<BenchResult> {
  const began = performance.now();
  await requireRoom(options);
  const load = new LoadMeter();
  say('starting servers and preparing the data');
  const byHand = await findByHand();
  const stack = await startBenchStack(cleanups, say);
  const measuring = new Measuring(stack, byHand, { load, say, patienceMs: options.quick ? 0 : PATIENCE_MS });
  const workers = new WarmWorkers(stack, measuring, options, say);
  const peers = options.peers ? await Peers.find(stack, byHand, options.peerRepeats, say) : null;
  const kept = await Kept.open(options.resume);
  const context: BenchContext = { kept, options, stack, byHand, measuring, workers, peers, say };

  const { suites } = options;
  const cases = suites.includes('cases') ? await measureCases(context) : { overhead: null, cases: [], takeover: null };
  const scaling = suites.includes('scaling') ? await measureScaling(context) : [];
  const verification = suites.includes('verification') ? await measureVerification(context) : [];
  const orchestration = suites.includes('orchestration') ? await measureOrchestration(context) : null;
  const growth = suites.includes('growth') ? await measureGrowth(context) : [];

  const [server] = await execute<{ version: string }>(stack.target, `select split_part(version(), ' on ', 1) as version`);
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  return {
    at: new Date().toISOString(),
    version,
    quick: options.quick,
    rows: options.rows,
    repeats: options.repeats,
    workers: options.workers,
    byHand: byHand.name,
    peers: peers?.titles() ?? [],
    postgres: server?.version ?? '',
    node: process.versions.node,
    load: load.read(),
    ...cases,
    growth,
    scaling,
    verification,
    orchestration,
    seconds: (performance.now() - began) / 1000,
  };
}

/** Figures of a part, of a quick run or of a noisy one are no result. */
async function keep(result: BenchResult, { quick, only, out, merge, acceptNoise }: BenchOptions): Promise<void> {
  if ((quick || (only !== null && !merge)) && out === null) return;
  if (result.load.noisy && !quick && !acceptNoise) {
    say('other programs were running: the figures are not a result, and nothing is written. Run it on a quiet machine, or --accept-noise.');
    process.exitCode = 1;
    return;
  }
  for (const file of await writeResults(result, { out, merge })) say(`written: ${file}`);
}

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    say('interrupted: stopping what was started');
    cleanups.run().finally(() => process.exit(130));
  });
}

const parsed = parseOptions(process.argv.slice(2));
const absolute = (path: string | null) => (path === null ? null : resolve(path));
const options = { ...parsed, out: absolute(parsed.out), resume: absolute(parsed.resume) };
process.chdir(ROOT); // the example's paths begin here
try {
  const result = await bench(options);
  await cleanups.run();
  console.log(report(result));
  await keep(result, options);
  if (options.json) console.log(JSON.stringify(result));
} catch (error) {
  // What fails while all is being stopped fails because of that.
  if (!interrupted) {
    console.error('bench:', error);
    process.exitCode = 1;
  }
  await cleanups.run();
}
