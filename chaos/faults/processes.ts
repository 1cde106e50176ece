/** Processes that are killed, and processes that stand still. */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Which } from '../../src/cluster/postmaster.ts';
import { type ProcessIdentity, signalProcess } from '../../src/local/process-identity.ts';
import { childrenOf, etcdLeader, primaryOf } from '../roles.ts';
import type { Scene } from '../scene.ts';
import type { Fault } from './fault.ts';

type Choose = (scene: Scene, pick: (names: readonly string[]) => string) => Promise<string> | string;

const workers = ({ supervisor }: Scene) => supervisor.names().filter((name) => name.startsWith('worker'));
const aWorker: Choose = (scene, pick) => pick(workers(scene));
const aTemporal: Choose = (_scene, pick) => pick(['temporal1', 'temporal2']);
const aProxy: Choose = (_scene, pick) => pick(['haproxy1', 'haproxy2']);
const thePrimary: Choose = async (scene) => await primaryOf(scene.supervisor);
const theStandby: Choose = async (scene) => ((await primaryOf(scene.supervisor)) === 'pg1' ? 'pg2' : 'pg1');
const theLeader: Choose = async (scene) => await etcdLeader(scene.supervisor);

/** A heartbeat timeout of ten seconds, and two more. */
const WORKER_SECONDS = 12;
const TEMPORAL_SECONDS = 15;
/** What comes on top of the time in which Patroni replaces a primary that crashed: some four seconds. */
const AFTER_CRASH_SECONDS = 10;
/**
 * The same of one whose Patroni is gone too, which takes up to thirteen: longer than a heartbeat timeout, and Temporal's own database is away as
 * well. What it hands out in that moment may reach nobody, which the next heartbeat timeout shows.
 */
const AFTER_LOSS_SECONDS = 20;
const PRIMARY_SECONDS = 4.4 + AFTER_CRASH_SECONDS;
const NODE_SECONDS = 12.7 + AFTER_LOSS_SECONDS;

interface Kill {
  readonly name: string;
  readonly says: string;
  readonly promisedSeconds?: number;
  readonly afterFailoverSeconds?: number;
  readonly holdsUpSteps?: boolean;
  readonly choose: Choose;
  /** Which processes of the part. @default all */
  readonly which?: Which;
  /** How long it stays away before it is started again. @default the second that the supervisor takes */
  readonly awaySeconds?: number;
}

/** A part that has just died is not there for some seconds: only what hits a process counts, and so long it is tried. */
const HIT_MS = 60_000;

function kill({ choose, which = 'all', awaySeconds, ...about }: Kill): Fault {
  return {
    ...{ ...about, isKill: true },
    run: async (scene, random, broken) => {
      const { supervisor } = scene;
      for (const deadline = Date.now() + HIT_MS; Date.now() < deadline; await delay(100)) {
        const part = await choose(scene, (names) => random.pick(names));
        const worker = await nameInLedger(scene, part);
        if (awaySeconds !== undefined) supervisor.hold(part);
        const hit = await supervisor.signal(part, 'SIGKILL', which);
        if (hit > 0) {
          broken(worker);
          await delay((awaySeconds ?? 0) * 1000);
        }
        if (awaySeconds !== undefined) await supervisor.release(part);
        if (hit > 0) return { what: part };
      }
      throw new Error(`${about.name}: for a minute there was no process to kill`);
    },
  };
}

/** As a worker calls itself; undefined for other parts. */
async function nameInLedger({ supervisor }: Scene, part: string): Promise<string | undefined> {
  if (!part.startsWith('worker')) return undefined;
  const [main] = await supervisor.processes(part, 'main');
  return main && `${main.pid}@${hostname()}`;
}

interface Sleep extends Omit<Kill, 'awaySeconds' | 'which'> {
  readonly seconds: number;
  /** All that PostgreSQL runs, and not Patroni. */
  readonly postgres?: boolean;
}

function sleep({ name, says, choose, seconds, postgres = false }: Sleep): Fault {
  return {
    ...{ name, says, isKill: false },
    run: async (scene, random, broken) => {
      const part = await choose(scene, (names) => random.pick(names));
      const roots = await scene.supervisor.processes(part, postgres ? 'postgres' : 'main');
      const all: ProcessIdentity[] = postgres ? roots.flatMap((root) => [root, ...childrenOf(root)]) : roots;
      const worker = await nameInLedger(scene, part);
      if (all.length === 0) throw new Error(`${name}: ${part} has no process`);
      for (const process of all) signalProcess(process, 'SIGSTOP');
      broken(worker);
      await delay(seconds * 1000);
      for (const process of all) signalProcess(process, 'SIGCONT');
      return { what: part };
    },
  };
}

export const PROCESS_FAULTS: readonly Fault[] = [
  kill({ name: 'worker killed', says: 'SIGKILL', choose: aWorker, promisedSeconds: WORKER_SECONDS }),
  sleep({ name: 'worker asleep', says: 'SIGSTOP for 14 s', choose: aWorker, seconds: 14 }),
  kill({ name: 'Temporal node killed', says: 'SIGKILL', choose: aTemporal, promisedSeconds: TEMPORAL_SECONDS, holdsUpSteps: true }),
  sleep({ name: 'Temporal node asleep', says: 'SIGSTOP for 8 s', choose: aTemporal, seconds: 8 }),
  kill({
    ...{ name: 'PostgreSQL primary killed', says: 'SIGKILL of the server', promisedSeconds: PRIMARY_SECONDS },
    ...{ choose: thePrimary, which: 'postgres', afterFailoverSeconds: AFTER_CRASH_SECONDS },
  }),
  sleep({
    name: 'PostgreSQL primary asleep',
    says: 'SIGSTOP of all its processes for 15 s',
    choose: thePrimary,
    seconds: 15,
    postgres: true,
  }),
  kill({ name: 'PostgreSQL standby killed', says: 'SIGKILL of the server', choose: theStandby, which: 'postgres' }),
  sleep({
    name: 'PostgreSQL standby asleep',
    says: 'SIGSTOP of all its processes for 15 s',
    choose: theStandby,
    seconds: 15,
    postgres: true,
  }),
  kill({ name: 'Patroni killed', says: 'SIGKILL of the primary’s Patroni', choose: thePrimary, which: 'main' }),
  sleep({ name: 'Patroni asleep', says: 'SIGSTOP of the primary’s Patroni for 20 s', choose: thePrimary, seconds: 20 }),
  kill({
    name: 'PostgreSQL node lost',
    says: 'SIGKILL of the primary and its Patroni, away for 12 s',
    promisedSeconds: NODE_SECONDS,
    afterFailoverSeconds: AFTER_LOSS_SECONDS,
    choose: thePrimary,
    awaySeconds: 12,
  }),
  kill({ name: 'etcd leader killed', says: 'SIGKILL', choose: theLeader }),
  sleep({ name: 'etcd leader asleep', says: 'SIGSTOP for 8 s', choose: theLeader, seconds: 8 }),
  kill({ name: 'HAProxy lost', says: 'SIGKILL, away for 5 s', choose: aProxy, awaySeconds: 5 }),
  sleep({ name: 'HAProxy asleep', says: 'SIGSTOP for 40 s', choose: aProxy, seconds: 40 }),
  {
    ...{ name: 'etcd lost', says: 'SIGKILL of all three, away for 12 s', isKill: false },
    run: async ({ supervisor }, _random, broken) => {
      const members = ['etcd1', 'etcd2', 'etcd3'];
      for (const name of members) supervisor.hold(name);
      await Promise.all(members.map((name) => supervisor.signal(name, 'SIGKILL')));
      broken();
      await delay(12_000);
      await Promise.all(members.map((name) => supervisor.release(name)));
      return { what: members.join(', ') };
    },
  },
  {
    ...{ name: 'everything killed', says: 'SIGKILL of all processes at once', isKill: false },
    run: async ({ supervisor }, _random, broken) => {
      const all = (await Promise.all(supervisor.names().map((name) => supervisor.processes(name)))).flat();
      for (const process of all) signalProcess(process, 'SIGKILL');
      broken();
      return { what: `${all.length} processes` };
    },
  },
  {
    ...{ name: 'rolling restart', says: 'every part stopped and started, one after the other', isKill: false },
    run: async ({ supervisor }, _random, broken) => {
      const parts = supervisor.names().filter((name) => supervisor.stateOf(name) === 'up');
      broken();
      for (const name of parts) {
        await supervisor.restart(name);
        await supervisor.untilUp(name);
      }
      return { what: parts.join(', ') };
    },
  },
];
