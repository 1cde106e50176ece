/** What the chaos suite tells of a storm that does not go as it should. */

import { Random } from '../../../chaos/random.ts';
import type { RoundContext, Storm } from '../../../chaos/round.ts';
import { storm } from '../../../chaos/round.ts';
import type { Runs } from '../../../chaos/runs.ts';
import type { Scene } from '../../../chaos/scene.ts';
import type { Database } from '../../../src/connectors/postgres/database.ts';

const ARENA = { target: { query: async () => [] } as unknown as Database, pipelines: ['departures'] };
const NEVER: Storm = { next: () => null, most: 1 };

function contextWith(runs: Partial<Runs>): RoundContext {
  const supervisor = { names: () => ['pg1'], stateOf: () => 'up', untilUp: () => Promise.reject(new Error('pg1 is down for good')) };
  const scene = { supervisor } as unknown as Scene;
  return { scene, runs: runs as Runs, random: new Random(1), say: () => {} };
}

test('a storm whose runs cannot be started is no success', async () => {
  const runs = { start: () => Promise.reject(new Error('Temporal does not answer')) };
  const { trials, problems } = await storm(contextWith(runs), ARENA, NEVER);
  expect(trials).toEqual([]);
  expect(problems).toEqual(expect.arrayContaining(['Temporal does not answer', 'pg1 is down for good']));
});
