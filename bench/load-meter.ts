/** How much of the machine others use while the bench measures. */

import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
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
  #leftOut = { seconds: 0, foreign: 0 };

  read(): Load {
    const { seconds, foreign } = this.#used();
    const foreignShare = Math.max(foreign - this.#leftOut.foreign, 0) / ((seconds - this.#leftOut.seconds) * this.#cpus);
    return { atBegin: this.#atBegin, cpus: this.#cpus, foreignShare, noisy: foreignShare > QUIET_SHARE };
  }

  /** What another meter has seen until now was not measured. */
  leaveOut(other: LoadMeter): void {
    const { seconds, foreign } = other.#used();
    this.#leftOut = { seconds: this.#leftOut.seconds + seconds, foreign: this.#leftOut.foreign + foreign };
  }

  #used(): { readonly seconds: number; readonly foreign: number } {
    const seconds = (performance.now() - this.#began) / 1000;
    const own = cpuSeconds(process.pid) - this.#own;
    return { seconds, foreign: Math.max(machineCpuSeconds() - this.#machine - own, 0) };
  }
}

const LOOK_MS = 2_000;

/** Waits until others leave the machine alone, at most so long. */
export async function untilQuiet(atMostMs: number): Promise<void> {
  for (const end = performance.now() + atMostMs; performance.now() < end; ) {
    const load = new LoadMeter();
    await sleep(LOOK_MS);
    if (!load.read().noisy) return;
  }
}
