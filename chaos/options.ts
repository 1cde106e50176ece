/** What the command line says. */
import { randomInt } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';

/** So long `--load` goes on by itself. */
export const LOAD_MINUTES = 3;

export interface ChaosOptions {
  readonly seed: number;
  /** Random kills until so many are accumulated; null: every fault once. */
  readonly kills: number | null;
  /** Runs at once, with a worker killed every minute; null: not now. */
  readonly load: number | null;
  /** So often each of what has a promised time; null: not now. */
  readonly promises: number | null;
  /** Two regions, in place of one cluster. */
  readonly regions: boolean;
  /** Only faults whose name contains one of these. */
  readonly only: readonly string[];
  readonly times: number;
  /** Ends after so many minutes, with what is there; null: as long as it takes, and {@link LOAD_MINUTES} of load. */
  readonly minutes: number | null;
  /** Folder of results.json and reliability.md in place of the repository's own. */
  readonly out: string | null;
  readonly json: boolean;
}

export function parseOptions(argv: readonly string[]): ChaosOptions {
  const command = new Command('chaos')
    .description(
      'Breaks a cluster of its own in every way while pipelines run, and looks whether each run ends with exactly the right rows.',
    )
    .option(
      '--seed <n>',
      'draws the numbers of this seed again: which part, and when; each fault, and each storm of --kills, has its own',
      whole(0),
    )
    .option('--kills <n>', 'random kills, one after the other, until so many are accumulated over all calls', whole(1))
    .option('--load <runs>', `so many runs at once for ${LOAD_MINUTES} minutes or --minutes, with a worker killed every minute`, whole(1))
    .option(
      '--promises <n>',
      'measures the promised times, each so often, on a cluster that is whole and a machine without other work',
      whole(1),
    )
    .option('--regions', 'loses a region, brings it back, and hands over')
    .option('--only <names...>', 'only faults whose name contains one of these')
    .option('--times <n>', 'how often each fault', whole(1), 1)
    .option('--minutes <n>', 'ends after so many minutes', whole(1))
    .option('--out <folder>', 'writes results.json and reliability.md here instead')
    .option('--json', 'ends with one JSON object on the last line')
    .parse([...argv], { from: 'user' });
  const given = command.opts<Partial<ChaosOptions>>();
  return {
    ...{
      seed: randomInt(2 ** 31),
      kills: null,
      load: null,
      promises: null,
      regions: false,
      only: [],
      times: 1,
      minutes: null,
      out: null,
      json: false,
    },
    ...given,
  };
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`a whole number of at least ${least}`);
    return value;
  };
}
