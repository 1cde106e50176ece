/**
 * Many runs at once while a worker is killed every minute: small ones among themselves first, and then with large ones between them. What the
 * large ones add to the time of a small one is what starving would show in.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../bench/results.ts';
import { residentBytes } from '../src/cluster/status.ts';
import type { LoadResult } from './results.ts';
import type { RoundContext } from './round.ts';
import type { ChaosRun, EndedRun } from './runs.ts';
import { dropTargets, verify } from './verify.ts';

const LARGE = 'departures';
const SMALL = 'few_departures';
/** One run in so many is a large one. */
const ONE_IN = 5;
const KILL_EVERY_MS = 60_000;
const LOOK_MS = 1_000;
const END_MS = 60 * 60_000;
/** So long small runs alone are started. */
const ALONE_MS = 60_000;
/** What is promised: of the medians of small runs, with large ones over without. */
const MOST_SLOWER = 3;
/** And with large ones: of the longest small run over the median. */
const MOST_LONGER = 4;
/** Memory of a worker that lives on, in the last third of the time over the middle one: in the first one it gets warm. */
const MOST_GROWTH = 1.1;

/**
 * @param count runs at once
 * @param mixedMs so long runs are started, large ones among them
 */
export async function measureLoad({ scene, runs, random, say }: RoundContext, count: number, mixedMs: number): Promise<LoadResult> {
  const { supervisor } = scene;
  const workers = supervisor.names().filter((name) => name.startsWith('worker'));
  const [survivor = '', ...victims] = workers;
  const ended: EndedRun[] = [];
  const secondsOf = async (run: ChaosRun): Promise<number> => {
    const began = performance.now();
    ended.push(await runs.ended(run, Date.now() + END_MS));
    return (performance.now() - began) / 1000;
  };
  const alone = await secondsOf(await runs.start(SMALL));
  say(`a small run alone: ${alone.toFixed(1)} s`);

  const began = performance.now();
  let over = false;
  let kills = 0;
  /** Of the worker that lives on, and of all. */
  const memory: number[] = [];
  let mostBytes = 0;
  const watching = (async () => {
    for (let nextKill = Date.now() + KILL_EVERY_MS; !over; await delay(LOOK_MS)) {
      for (const name of workers) {
        const [main] = await supervisor.processes(name, 'main');
        const bytes = main ? await residentBytes(main.pid) : null;
        if (bytes === null) continue;
        mostBytes = Math.max(mostBytes, bytes);
        if (name === survivor) memory.push(bytes);
      }
      if (Date.now() < nextKill) continue;
      nextKill += KILL_EVERY_MS;
      kills += await supervisor.signal(random.pick(victims), 'SIGKILL');
      say(`killed a worker; ${kills} so far`);
    }
  })();
  // As many as are wanted at any time: where one has ended, another of its kind begins.
  const keepGoing = async (pipelines: readonly string[], ms: number): Promise<number[]> => {
    const lastStart = Date.now() + ms;
    const smallSeconds: number[] = [];
    const one = async (pipeline: string) => {
      do {
        const seconds = await secondsOf(await runs.start(pipeline));
        if (pipeline === SMALL) smallSeconds.push(seconds);
      } while (Date.now() < lastStart);
    };
    await Promise.all(pipelines.map(one));
    return smallSeconds;
  };
  const mixed = Array.from({ length: count }, (_, nth) => (nth % ONE_IN === 0 ? LARGE : SMALL));
  say(`keeping ${count} small runs going for ${ALONE_MS / 1000} s`);
  const among = await keepGoing(
    mixed.map(() => SMALL),
    ALONE_MS,
  );
  memory.length = 0;
  say(`keeping ${count} runs going for ${mixedMs / 1000} s, one in ${ONE_IN} a large one`);
  const beside = await keepGoing(mixed, mixedMs);
  const seconds = (performance.now() - began) / 1000;
  over = true;
  await watching;

  const workerBytes = { tenths: mediansOfParts(memory, 10), most: mostBytes };
  const [, middle = 0, last = 0] = mediansOfParts(memory, 3);
  const smallRunSeconds = { alone, among: median(among), median: median(beside), worst: Math.max(...beside) };
  const { problems } = await verify(scene, scene.admin, ended);
  if (problems.length === 0) await dropTargets(scene.admin, ended);
  const broken = [
    ...problems,
    ...(smallRunSeconds.median > smallRunSeconds.among * MOST_SLOWER
      ? [
          `a small run took ${smallRunSeconds.median.toFixed(1)} s beside large ones, and ${smallRunSeconds.among.toFixed(1)} s without them`,
        ]
      : []),
    ...(smallRunSeconds.worst > smallRunSeconds.median * MOST_LONGER
      ? [`a small run took ${smallRunSeconds.worst.toFixed(1)} s, and half of them ${smallRunSeconds.median.toFixed(1)} s at most`]
      : []),
    ...(last > middle * MOST_GROWTH
      ? [`a worker that lived on still grew, from ${Math.round(middle / 1e6)} to ${Math.round(last / 1e6)} MB`]
      : []),
  ];
  for (const problem of broken) say(`NOT AS IT SHOULD BE: ${problem}`);
  const rows = ended.reduce((sum, { summary }) => sum + (summary?.rowsRead ?? 0), 0);
  return {
    ...{ at: new Date().toISOString(), runs: count, ended: ended.length, workers: workers.length, kills, seconds },
    ...{ survived: problems.length === 0, problems: broken, rowsPerSecond: rows / seconds, workerBytes, smallRunSeconds },
  };
}

/** Medians of so many parts of a series, one after the other. */
function mediansOfParts(series: readonly number[], parts: number): number[] {
  return Array.from({ length: parts }, (_, nth) =>
    median(series.slice(Math.floor((nth * series.length) / parts), Math.floor(((nth + 1) * series.length) / parts))),
  );
}
