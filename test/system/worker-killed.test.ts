/** SIGKILL to workers: the run ends by itself and is exactly right, whatever they were doing. */
import { attemptsAt, type Copied, copiedPartitions } from '../helpers/observer.ts';
import { startRun } from '../helpers/runs.ts';
import { expectExactlyRight, scene, startWorkers } from '../helpers/scene.ts';
import { temporalClient } from '../helpers/servers.ts';
import { fired, startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(240_000);

const FEBRUARY = { from: '2001-02-01', to: '2001-03-01' };

/** No chunk was committed twice, and of each partition at most one was copied in vain. */
async function expectResumed(url: string): Promise<Copied[]> {
  const partitions = await copiedPartitions(url);
  const attempts = await attemptsAt(url);
  for (const { partition, chunks, committed, copied } of partitions) {
    expect({ partition, committed }).toEqual({ partition, committed: chunks });
    expect({ partition, inVain: Math.max(copied - committed, 1) }).toEqual({ partition, inVain: 1 });
    // A chunk that was cut off before its end is not seen, but an attempt copies one after another: two attempts, one chunk.
    expect({ partition, attempts: Math.max(attempts[`copy:${partition}`] ?? 0, 2) }).toEqual({ partition, attempts: 2 });
  }
  return partitions;
}

describe('one of two workers is killed', () => {
  test.concurrent.each([
    ['plan:before-commit', 'auto'],
    ['chunk:before-commit@9', 'never'],
    ['chunk:after-commit@9', 'auto'],
    ['transform:before-commit', 'never'],
    ['transform:before-commit', 'auto'],
    ['check:before-commit', 'never'],
    ['load:before-commit', 'auto'],
    ['load:after-commit', 'never'],
    ['finish:before-end', 'auto'],
  ] as const)('at %s, swap: %s', async (place, swap) => {
    const given = await scene('killed', { swap });
    const fault = `${place}=kill`;
    const both = await startWorkers(2, given.flow, fault);

    const run = await startRun(await temporalClient(), given.flow, 'flights');
    const killed = await fired(given.flow, fault);
    expect(await both.find(({ pid }) => pid === killed)?.ended).toBe('SIGKILL');

    await expectExactlyRight(given, run);
    const partitions = await expectResumed(given.url);
    if (place.endsWith('@9')) expect(partitions.some(({ attempts }) => attempts === 2)).toBe(true);
  });

  const seed = Number(process.env.SLUICE_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const moments = randomMoments(seed, 2, 1_500);
  test.concurrent.each(moments)(`%i ms after the start (SLUICE_TEST_SEED=${seed})`, async (afterMs) => {
    const given = await scene('moment', { span: FEBRUARY, rowsInChunk: 4_000 });
    const [one] = await startWorkers(2, given.flow);

    const run = await startRun(await temporalClient(), given.flow, 'flights');
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    one?.kill('SIGKILL');
    expect(await one?.ended).toBe('SIGKILL');
    expect((await run.describe()).status.name).toBe('RUNNING');

    await expectExactlyRight(given, run);
    await expectResumed(given.url);
  });
});

describe('all workers are killed, and one starts five seconds later', () => {
  test.concurrent.each(['chunk:before-commit@9', 'load:before-commit'])('at %s', async (place) => {
    const given = await scene('killed');
    const fault = `${place}=stop`;
    const both = await startWorkers(2, given.flow, fault);

    const run = await startRun(await temporalClient(), given.flow, 'flights');
    await stoppedBy(given.flow, fault, both);
    for (const worker of both) worker.kill('SIGKILL');
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual(['SIGKILL', 'SIGKILL']);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await startWorker(given.flow);

    await expectExactlyRight(given, run);
    const partitions = await expectResumed(given.url);
    if (place.startsWith('chunk')) expect(partitions.some(({ attempts }) => attempts === 2)).toBe(true);
  });
});

/** Linear congruential: the same moments for the same seed. */
function randomMoments(seed: number, count: number, belowMs: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * belowMs);
  });
}
