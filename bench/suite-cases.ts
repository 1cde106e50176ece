/** The cases: each against the same by hand and, where asked for, by other programs. */
import type { BenchCase } from './cases.ts';
import { flightsCases } from './flights.ts';
import type { MeasuredCase } from './measure.ts';
import { fillOrders, writeOrderFiles } from './orders-data.ts';
import { ordersFromFiles } from './orders-files.ts';
import { oneOrder, ordersFromPostgres } from './orders-postgres.ts';
import { NO_PEERS } from './peers/compare.ts';
import { type BenchResult, type CaseResult, median } from './results.ts';
import { type BenchContext, isWanted, measureCase } from './suites.ts';
import { measureTakeover } from './takeover.ts';

/** One row is quick to move, and more at the mercy of chance. */
const OVERHEAD_REPEATS = 5;

export async function measureCases(context: BenchContext): Promise<Pick<BenchResult, 'overhead' | 'cases' | 'takeover'>> {
  const { options, stack, byHand, workers, say } = context;
  const wanted = (of: BenchCase) => isWanted(context, of.name);
  const flights = (await flightsCases(stack, byHand, options.quick)).filter(wanted);
  const measured: { of: BenchCase; result: MeasuredCase }[] = [];
  const measure = async (of: BenchCase) => {
    measured.push({ of, result: await measureCase(context, of) });
  };

  for (const of of flights) await measure(of);
  let takeover: BenchResult['takeover'] = null;
  const [first] = flights;
  const loaded = measured[0]?.result.content;
  if (first && loaded && options.kills > 0) {
    say(`killing a worker, ${options.kills === 1 ? 'once' : `${options.kills} times`}`);
    takeover = await measureTakeover(stack, await workers.for(first), first, options.kills, loaded);
  }

  await fillOrders(stack, options.rows);
  const cases = ordersFromPostgres(stack, options.rows);
  const { files } = stack;
  const fromFiles = ordersFromFiles(stack, options.rows, { csv: [], jsonl: [], parquet: [] }).some(wanted);
  for (const of of cases.filter(wanted)) await measure(of);
  const overhead = await measureCase(context, oneOrder(stack), options.quick ? 1 : Math.max(options.repeats, OVERHEAD_REPEATS));
  if (fromFiles) {
    say(`writing the orders to ${files}`);
    const written = await writeOrderFiles(stack, options.rows);
    for (const of of ordersFromFiles(stack, options.rows, written).filter(wanted)) await measure(of);
  }

  const results: CaseResult[] = [];
  for (const { of, result } of measured) {
    const { peers } = context;
    const compare = async () => {
      if (!peers) return NO_PEERS;
      say(`${of.name}, by other programs`);
      return await peers.compare(of, result);
    };
    results.push({
      ...result,
      ratioWithoutOverhead: withoutOverhead(result, overhead),
      over: overOther(
        result,
        measured.map((each) => each.result),
      ),
      ...(await context.kept.once(`${of.name}, ${of.rows} rows, ${peers ? `${options.peerRepeats} times ` : 'not '}by others`, compare)),
    });
  }
  return { overhead: { ...overhead, ratioWithoutOverhead: null, over: null, ...NO_PEERS }, cases: results, takeover };
}

/** Of the pairs, as the ratio itself. */
export function withoutOverhead({ ours, limit }: MeasuredCase, overhead: MeasuredCase): number {
  const less = (seconds: number, fixed: number) => Math.max(seconds - fixed, 0.001);
  return median(
    ours.all.map((each, at) => less(each, overhead.ours.seconds) / less(limit.all[at] ?? limit.seconds, overhead.limit.seconds)),
  );
}

function overOther({ wanted, ours }: MeasuredCase, all: readonly MeasuredCase[]): number | null {
  const other = wanted.over && all.find((each) => each.case === wanted.over?.case);
  return other ? ours.seconds / other.ours.seconds : null;
}
