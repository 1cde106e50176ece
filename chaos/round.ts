/** One round: runs begin, something breaks in the middle, the runs end, and all is looked at. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../src/connectors/postgres/database.ts';
import { describeError } from '../src/errors.ts';
import type { Broken, Fault } from './faults/fault.ts';
import type { Random } from './random.ts';
import { secondsUntilPrimary, untilReplicated } from './roles.ts';
import type { ChaosRun, EndedRun, Runs } from './runs.ts';
import type { Scene } from './scene.ts';
import { dropTargets, verify } from './verify.ts';
import { Watch } from './watch.ts';

/** Where runs load to, and which ones. */
export interface Arena {
  readonly target: Database;
  readonly pipelines: readonly string[];
}

export interface Trial {
  readonly fault: string;
  readonly what: string;
  readonly problems: readonly string[];
  /** From the breakage until every partition that was in hand has moved on; null where none was. */
  readonly recoverSeconds: number | null;
  readonly rowsLost: number;
  readonly rowsDuplicated: number;
  readonly rowsCopiedAgain: number;
  readonly seconds: number;
}

const BEGIN_MS = 60_000;
const END_MS = 300_000;
/** A run that loads or finishes has nothing in hand. */
const IN_HAND_MS = 3_000;
/** Runs of a few rows, which are little more than steps: so many, that some are on what each Temporal node has in hand. */
const STEPS = { pipeline: 'few_departures', runs: 8 };

export interface RoundContext {
  readonly scene: Scene;
  readonly runs: Runs;
  readonly random: Random;
  readonly say: (message: string) => void;
}

/** A fault, once. */
export async function round(context: RoundContext, arena: Arena, fault: Fault): Promise<Trial> {
  const { scene, runs, random } = context;
  const began = performance.now();
  const watch = new Watch(arena.target);
  const problems: string[] = [];
  let broken: Broken = { what: 'nothing' };
  let ended: readonly EndedRun[] = [];
  try {
    const started = await startAll(runs, arena.pipelines);
    await untilChunks(watch, random.between(4, 30));
    await untilInHand(watch, runs, started);
    let over = false;
    const ending = endAll(context, arena, started, () => over);
    try {
      broken = await fault.run(scene, random, (worker) => {
        if (watch.broke(worker) === 0) context.say('nothing was in hand when it broke');
      });
    } finally {
      over = true;
      ended = await ending;
    }
    const missed = await broken.missed?.(runs, ended);
    if (missed) problems.push(missed);
  } catch (error) {
    problems.push(describeError(error));
  }
  await broken.back?.().catch((error) => problems.push(describeError(error)));
  const verdict = await judge(context, arena, ended);
  await watch.stop();
  return {
    ...{ fault: fault.name, what: broken.what, problems: [...problems, ...verdict.problems] },
    recoverSeconds: watch.recoverSeconds,
    ...{ rowsLost: verdict.rowsLost, rowsDuplicated: verdict.rowsDuplicated, rowsCopiedAgain: watch.rowsCopiedAgain },
    seconds: (performance.now() - began) / 1000,
  };
}

/** Until all have ended. As long as it is broken there are runs: where all have ended, others begin. */
async function endAll({ runs }: RoundContext, arena: Arena, started: readonly ChaosRun[], isOver: () => boolean): Promise<EndedRun[]> {
  const ended: EndedRun[] = [];
  for (let open = started; open.length > 0; open = isOver() ? [] : await startAll(runs, arena.pipelines)) {
    const deadline = Date.now() + END_MS;
    ended.push(...(await Promise.all(open.map((run) => runs.ended(run, deadline)))));
  }
  return ended;
}

export interface Storm {
  /** What breaks next; null to let the runs end. */
  readonly next: () => Fault | null;
  /** How much, at most. */
  readonly most: number;
  /** Waits before each, for a cluster that is whole again. */
  readonly whole?: boolean;
  /** Told of each before the runs have ended. */
  readonly measured?: (fault: Fault, recoverSeconds: number | null, failoverSeconds: number | null) => void;
}

export interface StormEnd {
  /** What broke, also where it was not looked at to the end. */
  readonly trials: readonly Trial[];
  /** In whole sentences; also where nothing broke, because no run began, say. */
  readonly problems: readonly string[];
}

/** One thing breaks after the other, as long as runs are open. */
export async function storm(context: RoundContext, arena: Arena, { next, most, whole = false, measured }: Storm): Promise<StormEnd> {
  const { scene, runs, random, say } = context;
  const watch = new Watch(arena.target);
  const trials: Omit<Trial, 'problems' | 'rowsLost' | 'rowsDuplicated'>[] = [];
  const problems: string[] = [];
  const ended: EndedRun[] = [];
  let breaking: Fault | null = null;
  let isEnough = false;
  try {
    const started = await startAll(runs, arena.pipelines);
    const deadline = Date.now() + END_MS + most * 30_000;
    const ending = Promise.all(started.map((run) => runs.ended(run, deadline)));
    ending.catch(() => {});
    await untilChunks(watch, random.between(2, 12));
    while (trials.length < most && (await untilInHand(watch, runs, started))) {
      if (whole) {
        await untilWhole(scene);
        if (!(await untilInHand(watch, runs, started))) break;
      }
      const fault = next();
      isEnough = fault === null;
      if (fault === null) break;
      breaking = fault;
      const began = performance.now();
      const copiedAgain = watch.rowsCopiedAgain;
      let failover: Promise<number> | null = null;
      const small = measured && fault.holdsUpSteps ? await startAll(runs, Array(STEPS.runs).fill(STEPS.pipeline)) : [];
      const { what } = await fault.run(scene, random, (worker) => {
        watch.broke(worker);
        if (measured && fault.afterFailoverSeconds !== undefined) failover = secondsUntilPrimary(scene.adminUrl);
      });
      const failoverSeconds = await failover;
      if (!(await untilMoved(watch, runs, started))) problems.push(`${fault.name} (${what}): a partition stood still for a minute`);
      const smallEnded = await Promise.all(small.map((run) => runs.ended(run, deadline)));
      const pauses = await Promise.all(smallEnded.map((run) => runs.longestPause(run)));
      ended.push(...smallEnded);
      const recoverSeconds = longest([watch.recoverSeconds, ...pauses]);
      const seconds = (performance.now() - began) / 1000;
      measured?.(fault, recoverSeconds, failoverSeconds);
      trials.push({ fault: fault.name, what, recoverSeconds, rowsCopiedAgain: watch.rowsCopiedAgain - copiedAgain, seconds });
      breaking = null;
      say(`${fault.name} (${what})${recoverSeconds === null ? '' : `, ${recoverSeconds.toFixed(1)} s`}`);
      await delay(random.between(200, 2_000));
    }
    ended.push(...(await ending));
  } catch (error) {
    problems.push(describeError(error));
    if (breaking) trials.push({ fault: breaking.name, what: 'not to its end', recoverSeconds: null, rowsCopiedAgain: 0, seconds: 0 });
  }
  const verdict = await judge(context, arena, ended);
  await watch.stop();
  const all = [...problems, ...verdict.problems, ...(trials.length === 0 && !isEnough ? ['nothing broke: the runs had ended before'] : [])];
  return {
    problems: all,
    // What went wrong belongs to all kills of the storm.
    trials: trials.map((trial, nth) => ({
      ...trial,
      problems: all,
      rowsLost: nth === 0 ? verdict.rowsLost : 0,
      rowsDuplicated: nth === 0 ? verdict.rowsDuplicated : 0,
    })),
  };
}

async function startAll(runs: Runs, pipelines: readonly string[]): Promise<ChaosRun[]> {
  return await Promise.all(pipelines.map((pipeline) => runs.start(pipeline)));
}

/** Null where there is none. */
function longest(seconds: readonly (number | null)[]): number | null {
  const known = seconds.filter((each) => each !== null);
  return known.length === 0 ? null : Math.max(...known);
}

async function judge({ scene }: RoundContext, { target }: Arena, ended: readonly EndedRun[]): Promise<Awaited<ReturnType<typeof verify>>> {
  try {
    await untilWhole(scene);
    const verdict = await verify(scene, target, ended);
    if (verdict.problems.length === 0) await dropTargets(target, ended);
    return verdict;
  } catch (error) {
    return { problems: [describeError(error)], rowsLost: 0, rowsDuplicated: 0 };
  }
}

/** All parts are up, and the standby is synchronous. */
async function untilWhole({ supervisor }: Scene): Promise<void> {
  for (const name of supervisor.names()) if (supervisor.stateOf(name) !== 'done') await supervisor.untilUp(name);
  await untilReplicated(supervisor);
}

async function untilChunks(watch: Watch, chunks: number): Promise<void> {
  const deadline = Date.now() + BEGIN_MS;
  while (watch.chunks < chunks) {
    if (Date.now() > deadline) throw new Error('the runs do not begin');
    await delay(20);
  }
}

/** What breaks while nothing is in hand proves little. False where all runs have ended. */
async function untilInHand(watch: Watch, runs: Runs, started: readonly ChaosRun[]): Promise<boolean> {
  for (const deadline = Date.now() + IN_HAND_MS; watch.inHand === 0 && Date.now() < deadline; await delay(20)) {
    if (!(await anyOpen(runs, started))) return false;
  }
  return await anyOpen(runs, started);
}

/** False where something that was in hand did not move for a minute. */
async function untilMoved(watch: Watch, runs: Runs, started: readonly ChaosRun[]): Promise<boolean> {
  const deadline = Date.now() + BEGIN_MS;
  while (!watch.hasMoved && (await anyOpen(runs, started))) {
    if (Date.now() > deadline) return false;
    await delay(200);
  }
  return true;
}

async function anyOpen(runs: Runs, started: readonly ChaosRun[]): Promise<boolean> {
  for (const run of started) if (await runs.isOpen(run)) return true;
  return false;
}
