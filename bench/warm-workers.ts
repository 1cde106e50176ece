/** Worker processes for a group of cases: fresh ones, so that peaks of memory are the group's own, and warmed up once. */
import type { WorkerPool } from '../workers/pool.ts';
import type { BenchCase } from './cases.ts';
import type { Measuring } from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { BenchStack } from './stack.ts';

export class WarmWorkers {
  readonly #stack: BenchStack;
  readonly #measuring: Measuring;
  readonly #options: BenchOptions;
  readonly #say: (message: string) => void;
  #group = '';
  #pool: WorkerPool | null = null;

  constructor(stack: BenchStack, measuring: Measuring, options: BenchOptions, say: (message: string) => void) {
    this.#stack = stack;
    this.#measuring = measuring;
    this.#options = options;
    this.#say = say;
  }

  /**
   * The workers of the case's group. The first case of a group is done once, both sides, unmeasured; a quick bench leaves this out, and
   * has one group.
   */
  async for(of: BenchCase, count = this.#options.workers): Promise<WorkerPool> {
    const { quick } = this.#options;
    const group = `${quick ? 'all' : of.group}, ${count} workers`;
    // One that was killed and started again is not warm.
    if (this.#pool && this.#group === group && this.#pool.restarts() === 0) return this.#pool;
    const pool = await this.#stack.freshWorkers(count);
    if (!quick) {
      this.#say(`warming up: ${of.name}`);
      await this.#measuring.round(of, pool);
    }
    this.#pool = pool;
    this.#group = group;
    return pool;
  }
}
