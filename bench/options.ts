/** What the command line says. */
import { Command, InvalidArgumentError, Option } from 'commander';

/** What can be measured, part by part. */
export const SUITES = ['cases', 'scaling', 'verification', 'orchestration', 'growth'] as const;
export type Suite = (typeof SUITES)[number];

export interface BenchOptions {
  /** Rows of the orders. */
  readonly rows: number;
  /** Measurements of each side of each case. */
  readonly repeats: number;
  /** Workers killed. */
  readonly kills: number;
  readonly workers: number;
  /** What is measured. */
  readonly suites: readonly Suite[];
  /** Other programs do the same. */
  readonly peers: boolean;
  readonly peerRepeats: number;
  /** Rows of each step of the growth, ascending. */
  readonly growthRows: readonly number[];
  /** Tiny partitions of the run that shows a steady rate. */
  readonly partitions: number;
  /** Tiny partitions by which the cost of one is measured. */
  readonly furtherPartitions: number;
  /** Small sizes: shows that the bench works, and no speed. */
  readonly quick: boolean;
  /** One JSON object as the last line. */
  readonly json: boolean;
  /** Only cases whose name contains this; nothing is written then, except with `out` or `merge`. */
  readonly only: string | null;
  /** What is measured takes its place among the figures that are there. */
  readonly merge: boolean;
  /** Folder for the figures in place of the repository's own files. */
  readonly out: string | null;
  /** File with what was measured already. */
  readonly resume: string | null;
  /** The figures are written even where others used the machine. */
  readonly acceptNoise: boolean;
}

type Sizes = Pick<BenchOptions, 'rows' | 'repeats' | 'kills' | 'peerRepeats' | 'growthRows' | 'partitions' | 'furtherPartitions'>;

const QUICK: Sizes = {
  ...{ rows: 10_000, repeats: 1, kills: 0, peerRepeats: 1, growthRows: [5_000, 10_000] },
  ...{ partitions: 40, furtherPartitions: 20 },
};
const FULL: Sizes = {
  ...{ rows: 2_000_000, repeats: 5, kills: 3, peerRepeats: 3, growthRows: [1_000_000, 5_000_000, 10_000_000] },
  ...{ partitions: 10_000, furtherPartitions: 999 },
};

export function parseOptions(argv: readonly string[]): BenchOptions {
  const command = new Command('bench')
    .description('Measures Sluice against the same work by hand, in turn, in one run, on servers of its own.')
    .option('--rows <n>', `rows of the orders (${FULL.rows})`, count(1))
    .option('--repeats <n>', `measurements of each side; their median counts (${FULL.repeats})`, count(1))
    .option('--kills <n>', `workers killed to measure the time until another one goes on (${FULL.kills})`, count(0))
    .option('--workers <n>', 'worker processes', count(1), 2)
    .addOption(new Option('--suite <names...>', 'what to measure (default: all but growth)').choices(SUITES))
    .option('--growth', 'also the same work at growing numbers of rows')
    .option('--growth-rows <n,...>', `these numbers (${FULL.growthRows.join(',')})`, counts)
    .option('--peers', 'dlt and pgloader do the same; they are installed into the cache folder')
    .option('--peer-repeats <n>', `measurements of these (${FULL.peerRepeats})`, count(1))
    .option('--partitions <n>', `tiny partitions of the long run (${FULL.partitions})`, count(1))
    .option('--further-partitions <n>', `tiny partitions that are compared with one (${FULL.furtherPartitions})`, count(1))
    .option('--only <text>', 'only cases whose name contains this; nothing is written, except with --merge')
    .option('--merge', 'the cases that are measured replace theirs in the figures, and the others stay')
    .option('--out <folder>', 'writes results.json, figures.json and performance.md here instead')
    .option('--resume <file>', 'keeps each case that is measured in this file, and does not measure again what is there')
    .option('--accept-noise', 'writes the figures of a noisy run too')
    .option('--quick', 'small sizes: shows in a minute that it works; nothing is written')
    .option('--json', 'ends with one JSON object on the last line')
    .parse([...argv], { from: 'user' });
  type Given = Partial<Omit<BenchOptions, 'suites'>> & { readonly suite?: Suite[]; readonly growth?: boolean };
  const { suite, growth, ...given } = command.opts<Given>();
  const quick = given.quick ?? false;
  const chosen = suite ?? SUITES.filter((name) => name !== 'growth');
  return {
    ...(quick ? QUICK : FULL),
    ...{ workers: 2, json: false, only: null, merge: false, out: null, resume: null, peers: false, acceptNoise: false },
    ...given,
    suites: SUITES.filter((name) => chosen.includes(name) || (growth && name === 'growth')),
    quick,
  };
}

function count(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`a whole number of at least ${least}`);
    return value;
  };
}

function counts(text: string): number[] {
  return text
    .split(',')
    .map(count(1))
    .sort((a, b) => a - b);
}
