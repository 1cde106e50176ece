/** Many runs at once, large and small, while a worker is killed every minute. */
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../bench/results.ts';
import { residentBytes } from '../src/cluster/status.ts';
import type { LoadResult } from './results.ts';
import type { RoundContext } from './round.ts';
import type { ChaosRun, EndedRun } from './runs.ts';
import { dropTargets, verify } from './verify.ts';

const LARGE = 'departures';
const SMALL = 'zipcodes';
/** One run in so many is a large one. */
const ONE_IN = 5;
const KILL_EVERY_MS = 60_000;
const LOOK_MS = 1_000;
const END_MS = 60 * 60_000;
/** So long runs are started. */
const KEEP_MS = 190_000;

export async function measureLoad({ scene, runs, random, say }: RoundContext, count: number): Promise<LoadResult> {
  const { supervisor } = scene;
  const workers = supervisor.names().filter((name) => name.startsWith('worker'));
  const secondsOf = async (run: ChaosRun): Promise<number> => {
    const began = performance.now();
    await runs.ended(run, Date.now() + END_MS);
    return (performance.now() - began) / 1000;
  };
  const first = await runs.start(SMALL);
  const alone = await secondsOf(first);
  say(`a small run alone: ${alone.toFixed(1)} s; keeping ${count} runs going for ${KEEP_MS / 1000} s`);

  const began = performance.now();
  let over = false;
  let kills = 0;
  const memory: number[] = [];
  const watching = (async () => {
    for (let nextKill = Date.now() + KILL_EVERY_MS; !over; await delay(LOOK_MS)) {
      for (const name of workers) {
        const [main] = await supervisor.processes(name, 'main');
        const bytes = main ? await residentBytes(main.pid) : null;
        if (bytes !== null) memory.push(bytes);
      }
      if (Date.now() < nextKill) continue;
      nextKill += KILL_EVERY_MS;
      kills += await supervisor.signal(random.pick(workers), 'SIGKILL');
      say(`killed a worker; ${kills} so far`);
    }
  })();
  // As many as are wanted at any time: where one has ended, another of its kind begins.
  const ended: EndedRun[] = [await runs.ended(first, Date.now() + END_MS)];
  const smallSeconds: number[] = [];
  const lastStart = Date.now() + KEEP_MS;
  const keepGoing = async (pipeline: string) => {
    do {
      const started = performance.now();
      ended.push(await runs.ended(await runs.start(pipeline), Date.now() + END_MS));
      if (pipeline === SMALL) smallSeconds.push((performance.now() - started) / 1000);
    } while (Date.now() < lastStart);
  };
  await Promise.all(Array.from({ length: count }, (_, nth) => keepGoing(nth % ONE_IN === 0 ? LARGE : SMALL)));
  const seconds = (performance.now() - began) / 1000;
  over = true;
  await watching;

  const { problems } = await verify(scene, scene.admin, ended);
  for (const problem of problems) say(`NOT SURVIVED: ${problem}`);
  if (problems.length === 0) await dropTargets(scene.admin, ended);
  const rows = ended.reduce((sum, { summary }) => sum + (summary?.rowsRead ?? 0), 0);
  const tenth = Math.max(1, Math.floor(memory.length / 10));
  return {
    ...{
      at: new Date().toISOString(),
      runs: count,
      ended: ended.length,
      workers: workers.length,
      kills,
      survived: problems.length === 0,
      seconds,
    },
    rowsPerSecond: rows / seconds,
    workerBytes: { first: median(memory.slice(0, tenth)), last: median(memory.slice(-tenth)), most: Math.max(...memory) },
    smallRunSeconds: { alone, median: median(smallSeconds), worst: Math.max(...smallSeconds) },
  };
}
