/**
 * The times that are promised where one part of a cluster that is whole is lost: each kind so often, and every time has to keep the promise.
 * On a machine with other work they say nothing.
 */
import { PROCESS_FAULTS } from './faults/processes.ts';
import type { PromisesResult } from './results.ts';
import { type Arena, type RoundContext, storm } from './round.ts';

/** Of one set of runs, at most. */
const MOST = 20;

/** @param end when it ends, with what is there, in milliseconds since 1970 */
export async function measurePromises(context: RoundContext, arena: Arena, times: number, end: number): Promise<PromisesResult> {
  const faults = PROCESS_FAULTS.flatMap((fault) => {
    const promisedSeconds = fault.afterFailoverSeconds ?? fault.promisedSeconds;
    if (promisedSeconds === undefined) return [];
    return [{ fault, promisedSeconds, recoverSeconds: [] as number[], failoverSeconds: [] as number[] }];
  });
  const problems: string[] = [];
  const open = () => faults.filter(({ recoverSeconds }) => recoverSeconds.length < times);
  while (open().length > 0 && problems.length === 0 && Date.now() < end) {
    const storming = await storm(context, arena, {
      ...{ most: MOST, whole: true },
      next: () => (open().length > 0 && Date.now() < end ? context.random.pick(open()).fault : null),
      measured(fault, recoverSeconds, failoverSeconds) {
        const of = faults.find((each) => each.fault === fault);
        // Nothing was in hand: it has shown nothing.
        if (!of || recoverSeconds === null) return;
        of.recoverSeconds.push(recoverSeconds);
        if (failoverSeconds !== null) of.failoverSeconds.push(failoverSeconds);
      },
    });
    problems.push(...storming.problems);
  }
  const missing = problems.length === 0 ? open() : [];
  problems.push(
    ...missing.map(({ fault, recoverSeconds }) => `${fault.name} was measured ${recoverSeconds.length} times, and ${times} were wanted`),
  );
  for (const { fault, promisedSeconds, recoverSeconds, failoverSeconds } of faults) {
    recoverSeconds.forEach((seconds, nth) => {
      const failover = failoverSeconds[nth] ?? 0;
      if (seconds - failover <= promisedSeconds) return;
      const after = fault.afterFailoverSeconds !== undefined ? ` after the failover, which took ${failover.toFixed(1)} s` : '';
      problems.push(`${fault.name}: it took ${(seconds - failover).toFixed(1)} s${after}, and ${promisedSeconds} s are promised`);
    });
  }
  for (const problem of problems) context.say(`NOT AS IT SHOULD BE: ${problem}`);
  const results = faults
    .filter(({ recoverSeconds }) => recoverSeconds.length > 0)
    .map(({ fault, ...figures }) => ({ fault: fault.name, says: fault.says, ...figures }));
  return { at: new Date().toISOString(), problems, faults: results };
}
