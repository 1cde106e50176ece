/** The program that keeps a cluster up in the background: `supervise.js FOLDER`. SIGTERM stops the cluster, and then the program. */
import { resolve } from 'node:path';
import { describeError } from '../errors.ts';
import { withFolderLock } from '../local/folder-lock.ts';
import { readCluster } from './cluster-file.ts';
import { heldParts } from './held.ts';
import { Supervisor } from './supervisor.ts';

const LOOK_MS = 200;

async function supervise(folder: string): Promise<void> {
  const record = await readCluster(folder);
  if (!record) throw new Error(`${folder} says nothing of a cluster`);
  const say = (message: string) => console.log(`${new Date().toISOString()} ${message}`);
  const supervisor = await Supervisor.prepare({ folder, wanted: record.wanted, env: process.env, onProgress: say });
  const stopped = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, done);
  });
  const starting = supervisor.start().catch((error) => say(describeError(error)));
  // `sluice cluster kill --hold` and `start` say by files which parts are to be left down.
  const watching = setInterval(async () => {
    const held = await heldParts(folder);
    for (const name of supervisor.names()) {
      if (held.has(name)) {
        if (supervisor.stateOf(name) !== 'held') supervisor.hold(name);
      } else if (supervisor.stateOf(name) === 'held') await supervisor.release(name);
    }
  }, LOOK_MS);
  await stopped;
  say('stopping');
  clearInterval(watching);
  await supervisor.stop();
  await starting;
}

const folder = resolve(process.argv[2] ?? '.sluice/cluster');
try {
  await withFolderLock(folder, () => supervise(folder), { timeoutMs: 10_000 });
  process.exit(0);
} catch (error) {
  console.error(`The cluster cannot be run: ${describeError(error)}`);
  process.exit(1);
}
