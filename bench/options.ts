/** What the command line says. */
import { Command, InvalidArgumentError } from 'commander';

export interface BenchOptions {
  /** Rows of the orders. */
  readonly rows: number;
  /** Measurements of each side of each case. */
  readonly repeats: number;
  /** Workers killed. */
  readonly kills: number;
  readonly workers: number;
  /** Small sizes: shows that the bench works, and no speed. */
  readonly quick: boolean;
  /** One JSON object as the last line. */
  readonly json: boolean;
  /** Only cases whose name contains this. */
  readonly only: string | null;
}

const QUICK = { rows: 20_000, repeats: 1, kills: 1 };
const FULL = { rows: 2_000_000, repeats: 3, kills: 3 };

export function parseOptions(argv: readonly string[]): BenchOptions {
  const command = new Command('bench')
    .description('Measures Sluice against the same work by hand, in turn, in one run.')
    .option('--rows <n>', `rows of the orders (${FULL.rows})`, count(1))
    .option('--repeats <n>', `measurements of each side; their median counts (${FULL.repeats})`, count(1))
    .option('--kills <n>', `workers killed to measure the time until another one goes on (${FULL.kills})`, count(0))
    .option('--workers <n>', 'worker processes', count(1), 2)
    .option('--only <text>', 'only cases whose name contains this')
    .option('--quick', 'small sizes: shows in a minute that it works')
    .option('--json', 'ends with one JSON object on the last line')
    .parse([...argv], { from: 'user' });
  const given = command.opts<Partial<BenchOptions>>();
  const quick = given.quick ?? false;
  return { ...(quick ? QUICK : FULL), workers: 2, json: false, only: null, ...given, quick };
}

function count(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`a whole number of at least ${least}`);
    return value;
  };
}
