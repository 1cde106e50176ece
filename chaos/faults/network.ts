/** What networks do to the connections of the workers. */
import { setTimeout as delay } from 'node:timers/promises';
import { WHO } from '../../src/connectors/postgres/liveness.ts';
import type { FaultyProxy } from '../proxy.ts';
import type { Scene } from '../scene.ts';
import type { Fault } from './fault.ts';

interface NetworkFault {
  readonly name: string;
  readonly says: string;
  /** The proxies that are broken. @default those before PostgreSQL */
  readonly on?: (scene: Scene) => readonly FaultyProxy[];
  readonly begin: (proxy: FaultyProxy) => void;
  readonly seconds?: number;
  readonly end?: (proxy: FaultyProxy) => void;
  /** When the runs have ended. */
  readonly after?: (proxy: FaultyProxy) => void;
  /** Why it did not happen, asked when the runs have ended; null where it did. */
  readonly missed?: (proxies: readonly FaultyProxy[]) => string | null;
}

function network({ name, says, on = ({ database }) => database, begin, seconds = 0, end, after, missed }: NetworkFault): Fault {
  return {
    ...{ name, says, isKill: false },
    run: async (scene, _random, broken) => {
      const proxies = on(scene);
      const connections = proxies.reduce((sum, proxy) => sum + proxy.connections, 0);
      proxies.forEach(begin);
      broken();
      await delay(seconds * 1000);
      if (end) proxies.forEach(end);
      return {
        what: `${connections} connections`,
        missed: () => (connections === 0 ? 'there was no connection' : (missed?.(proxies) ?? null)),
        back: async () => {
          if (after) proxies.forEach(after);
        },
      };
    },
  };
}

export const NETWORK_FAULTS: readonly Fault[] = [
  network({
    ...{ name: 'slow network', says: '200 ms later, to PostgreSQL, for 10 s', seconds: 10 },
    begin: (proxy) => proxy.delay(200),
    end: (proxy) => proxy.delay(0),
  }),
  network({ name: 'connections reset', says: 'all to PostgreSQL', begin: (proxy) => proxy.reset() }),
  network({
    ...{ name: 'black hole', says: 'nothing arrives at PostgreSQL or from it for 15 s', seconds: 15 },
    begin: (proxy) => proxy.silence(true),
    end: (proxy) => proxy.silence(false),
  }),
  network({
    ...{
      name: 'half-open connections',
      says: 'the server’s side is gone, the worker’s hears nothing of it; new ones go the same way for 3 s',
      seconds: 3,
    },
    begin: (proxy) => {
      proxy.halfOpen();
      proxy.halfOpenAt(WHO);
    },
    end: (proxy) => proxy.halfOpenAt(null),
  }),
  network({
    ...{ name: 'answers to COMMIT lost', says: 'the next two on each way; the connection is reset instead' },
    // On all of them: which one a worker takes depends on what has happened before.
    begin: (proxy) => proxy.loseAnswers(2),
    after: (proxy) => proxy.loseAnswers(0),
    missed: (proxies) => (proxies.some((proxy) => proxy.takeLost() > 0) ? null : 'no answer to COMMIT was lost'),
  }),
  network({
    ...{ name: 'Temporal cut off', says: 'nothing arrives at Temporal or from it for 12 s', seconds: 12 },
    on: ({ temporal }) => temporal,
    begin: (proxy) => proxy.silence(true),
    end: (proxy) => proxy.silence(false),
  }),
];
