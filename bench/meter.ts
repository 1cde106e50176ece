/** What a piece of work took: time, CPU of client and servers, memory. */
import { cpuSeconds, descendants, ownCpuSeconds, peakBytes } from './processes.ts';

const LOOK_AT_MEMORY_MS = 200;

export interface Measurement {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly temporalCpuSeconds: number;
  readonly peakBytesPerProcess: readonly number[];
}

/** Process ids. */
export interface Servers {
  readonly postgres: number;
  readonly temporal: number;
}

/** Starts counting; call the answer when the work is done. */
export function startMeter(of: Servers & { readonly client: () => number }): () => Omit<Measurement, 'peakBytesPerProcess'> {
  const cpu = () => ({ client: of.client(), server: cpuSeconds(of.postgres), temporal: cpuSeconds(of.temporal) });
  const before = cpu();
  const began = performance.now();
  return () => {
    const seconds = (performance.now() - began) / 1000;
    const after = cpu();
    return {
      seconds,
      // The kernel counts in hundredths: of a moment's work there may be less than nothing.
      cpuSeconds: Math.max(after.client - before.client, 0),
      serverCpuSeconds: Math.max(after.server - before.server, 0),
      temporalCpuSeconds: Math.max(after.temporal - before.temporal, 0),
    };
  };
}

/** Work that child processes of this one do, begun and ended by the work itself; or, `inProcess`, this process. */
export async function measureClient(servers: Servers, work: () => Promise<void>, inProcess = false): Promise<Measurement> {
  // What this process has besides at the moment: servers and workers.
  const others = new Set(descendants(process.pid));
  const peaks = new Map<number, number>();
  const look = () => {
    const pids = inProcess ? [process.pid] : descendants(process.pid, others);
    for (const pid of pids) peaks.set(pid, peakBytes(pid) ?? peaks.get(pid) ?? 0);
  };
  const watch = setInterval(look, LOOK_AT_MEMORY_MS);
  // A child's time comes to this process when it ends; ours is not the child's.
  const client = () => cpuSeconds(process.pid, others) - (inProcess ? 0 : ownCpuSeconds(process.pid));
  const used = startMeter({ ...servers, client });
  try {
    await work();
    return { ...used(), peakBytesPerProcess: [...peaks.values()] };
  } finally {
    clearInterval(watch);
  }
}
