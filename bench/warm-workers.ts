/** Worker processes for a group of cases: fresh ones, so that peaks of memory are the group's own, and warmed up once. */
import type { WorkerPool } from '../workers/pool.ts';
import type { BenchCase } from './cases.ts';
import type { Measuring } from './measure.ts';
import type { BenchStack } from './stack.ts';

export class WarmWorkers {
  readonly #stack: BenchStack;
  readonly #measuring: Measuring;
  readonly #say: (message: string) => void;
  readonly #count: number;
  #group = '';
  #pool: WorkerPool | null = null;

  constructor(stack: BenchStack, measuring: Measuring, count: number, say: (message: string) => void) {
    this.#stack = stack;
    this.#measuring = measuring;
    this.#count = count;
    this.#say = say;
  }

  /** The workers of the case's group. The first case of a group is done once, both sides, unmeasured. */
  async for(of: BenchCase, count = this.#count): Promise<WorkerPool> {
    const group = `${of.group}, ${count} workers`;
    if (this.#pool && this.#group === group) return this.#pool;
    const pool = await this.#stack.freshWorkers(count);
    this.#say(`warming up: ${of.name}`);
    await this.#measuring.round(of, pool);
    this.#pool = pool;
    this.#group = group;
    return pool;
  }
}
