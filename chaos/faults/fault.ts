/** Something that breaks. */
import type { Random } from '../random.ts';
import type { EndedRun, Runs } from '../runs.ts';
import type { Scene } from '../scene.ts';

export interface Fault {
  readonly name: string;
  /** For the table: what is done. */
  readonly says: string;
  /** Every partition in hand moves on within so many seconds; absent where nothing is promised. */
  readonly promisedSeconds?: number;
  /** The steps of runs wait, while a partition that is being copied needs nobody: what is promised holds for each step of small runs as well. */
  readonly holdsUpSteps?: boolean;
  /** Where a PostgreSQL has to become primary first: what is promised from then on. */
  readonly afterFailoverSeconds?: number;
  /** It is one process that is killed: what the long form does by the thousand. */
  readonly isKill: boolean;
  /**
   * Breaks it, and mends what does not mend itself. Resolves when it is mended.
   * @param broken called at the moment when it breaks; with the worker, as the ledger names it, where only its partitions stand still
   */
  run(scene: Scene, random: Random, broken: (worker?: string) => void): Promise<Broken>;
}

export interface Broken {
  /** What exactly, for the log. */
  readonly what: string;
  /** Asked when all runs have ended: why it did not happen, or null. */
  readonly missed?: (runs: Runs, ended: readonly EndedRun[]) => string | null | Promise<string | null>;
  /** What is left to be done when all runs have ended; after `missed`. */
  readonly back?: () => Promise<void>;
}
