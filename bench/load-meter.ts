/** How much of the machine others use while the bench measures. */
import { availableParallelism, loadavg } from 'node:os';
import { cpuSeconds, machineCpuSeconds } from './processes.ts';

/** Others may use this share of the machine before a run is called noisy. */
export const QUIET_SHARE = 0.1;

export interface Load {
  /** Load averages of 1, 5 and 15 minutes when the bench began. */
  readonly atBegin: readonly number[];
  readonly cpus: number;
  /** Share of the machine's CPU that processes other than the bench's own used while it ran. */
  readonly foreignShare: number;
  /** Not to be called a result. */
  readonly noisy: boolean;
}

export class LoadMeter {
  readonly #atBegin = loadavg();
  readonly #cpus = availableParallelism();
  readonly #began = performance.now();
  readonly #machine = machineCpuSeconds();
  // Servers and workers are children of this process.
  readonly #own = cpuSeconds(process.pid);

  read(): Load {
    const seconds = (performance.now() - this.#began) / 1000;
    const own = cpuSeconds(process.pid) - this.#own;
    const foreign = Math.max(machineCpuSeconds() - this.#machine - own, 0);
    const foreignShare = foreign / (seconds * this.#cpus);
    return { atBegin: this.#atBegin, cpus: this.#cpus, foreignShare, noisy: foreignShare > QUIET_SHARE };
  }
}
