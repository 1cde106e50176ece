/** What the bench measures, part by part, and what the parts share. */
import type { ByHand } from './by-hand.ts';
import type { BenchCase } from './cases.ts';
import type { Kept } from './kept.ts';
import type { MeasuredCase, Measuring } from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { Peers } from './peers/compare.ts';
import type { BenchStack } from './stack.ts';
import type { WarmWorkers } from './warm-workers.ts';

export interface BenchContext {
  readonly kept: Kept;
  readonly options: BenchOptions;
  readonly stack: BenchStack;
  readonly byHand: ByHand;
  readonly measuring: Measuring;
  readonly workers: WarmWorkers;
  /** Null where they were not asked for. */
  readonly peers: Peers | null;
  readonly say: (message: string) => void;
}

/** True where `--only` lets it through. */
export function isWanted({ options }: BenchContext, name: string): boolean {
  return options.only === null || name.includes(options.only);
}

export async function measureCase(context: BenchContext, of: BenchCase, repeats = context.options.repeats): Promise<MeasuredCase> {
  return await context.kept.once(`${of.name}, ${of.rows} rows, ${repeats} times`, async () => {
    const pool = await context.workers.for(of);
    context.say(`${of.name}, ${repeats === 1 ? 'once' : `${repeats} times`}`);
    return await context.measuring.case(of, pool, repeats);
  });
}
