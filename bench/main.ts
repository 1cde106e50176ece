/** `npm run bench`: Sluice against the same work by hand, on servers of its own. */
import { findByHand } from './by-hand.ts';
import type { BenchCase } from './cases.ts';
import { Cleanups } from './cleanups.ts';
import { execute } from './database.ts';
import { flightsCases } from './flights.ts';
import { LoadMeter } from './load-meter.ts';
import { Measuring } from './measure.ts';
import { type BenchOptions, parseOptions } from './options.ts';
import { ordersCases } from './orders.ts';
import { report } from './report.ts';
import { type BenchResult, type CaseResult, median, type TakeoverResult } from './results.ts';
import { ROOT, startBenchStack } from './stack.ts';
import { measureTakeover } from './takeover.ts';
import { WarmWorkers } from './warm-workers.ts';

/** One row is quick to move, and more at the mercy of chance. */
const OVERHEAD_REPEATS = 5;

const cleanups = new Cleanups();
const say = (message: string) => console.error(`bench ${process.uptime().toFixed(0).padStart(4)} s: ${message}`);

async function bench(options: BenchOptions): Promise<BenchResult> {
  const began = performance.now();
  const load = new LoadMeter();
  say('starting servers and preparing the data');
  const byHand = await findByHand();
  const stack = await startBenchStack(options.workers, cleanups, say);
  const wanted = (of: BenchCase) => options.only === null || of.name.includes(options.only);
  const flights = (await flightsCases(stack, byHand, options.quick)).filter(wanted);
  const orders = await ordersCases(stack, options.rows);
  const measuring = new Measuring(stack, byHand);
  const workers = new WarmWorkers(stack, measuring, say);
  const measure = async (of: BenchCase, repeats = options.repeats) => {
    const pool = await workers.for(of);
    say(`${of.name}, ${repeats === 1 ? 'once' : `${repeats} times`}`);
    return await measuring.case(of, pool, repeats);
  };

  const results: Measured[] = [];
  for (const of of flights) results.push(await measure(of));
  let takeover: TakeoverResult | null = null;
  const [first] = flights;
  const loaded = results[0]?.content;
  if (first && loaded && options.kills > 0) {
    say(`killing a worker, ${options.kills === 1 ? 'once' : `${options.kills} times`}`);
    takeover = await measureTakeover(stack, await workers.for(first), first, options.kills, loaded);
  }
  for (const of of orders.cases.filter(wanted)) results.push(await measure(of));
  const overhead = await measure(orders.overhead, options.quick ? 1 : Math.max(options.repeats, OVERHEAD_REPEATS));

  const [version] = await execute<{ version: string }>(stack.target, `select split_part(version(), ' on ', 1) as version`);
  return {
    quick: options.quick,
    repeats: options.repeats,
    workers: options.workers,
    byHand: byHand.name,
    postgres: version?.version ?? '',
    node: process.versions.node,
    load: load.read(),
    overhead: { ...overhead, ratioWithoutOverhead: null },
    cases: results.map((each) => ({ ...each, ratioWithoutOverhead: withoutOverhead(each, overhead) })),
    takeover,
    seconds: (performance.now() - began) / 1000,
  };
}

type Measured = Omit<CaseResult, 'ratioWithoutOverhead'>;

/** Of the pairs, as the ratio itself. */
function withoutOverhead({ ours, limit }: Measured, overhead: Measured): number {
  const less = (seconds: number, fixed: number) => Math.max(seconds - fixed, 0.001);
  return median(
    ours.all.map((each, at) => less(each, overhead.ours.seconds) / less(limit.all[at] ?? limit.seconds, overhead.limit.seconds)),
  );
}

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    say('interrupted: stopping what was started');
    cleanups.run().finally(() => process.exit(130));
  });
}

process.chdir(ROOT); // the example's paths begin here
const options = parseOptions(process.argv.slice(2));
try {
  const result = await bench(options);
  await cleanups.run();
  console.log(report(result));
  if (options.json) console.log(JSON.stringify(result));
} catch (error) {
  // What fails while all is being stopped fails because of that.
  if (!interrupted) {
    console.error('bench:', error);
    process.exitCode = 1;
  }
  await cleanups.run();
}
