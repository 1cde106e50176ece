/** New code of the workflows is rolled out while runs are in the middle of the old. */
import { execFile } from 'node:child_process';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startWorkerPool } from '../../workers/pool.ts';
import { ROOT, type Scene } from '../scene.ts';
import type { Broken, Fault } from './fault.ts';

const run = promisify(execFile);

const PATCH = 'chaos-step';
/** What a run comes to when its rows are committed: late enough for one that the old code has begun, and a step more there, as a release might bring it. */
const BEFORE_END = 'const { run } = plan;';
const STEP = `if (chaosPatched('${PATCH}')) await chaosSleep(10);`;
const IMPORT = `import { patched as chaosPatched, sleep as chaosSleep } from '@temporalio/workflow';`;

export const ROLLING_DEPLOY = 'rolling deploy';

/** Makes a release that differs in a step of its workflow, and rolls it out. */
export async function makeDeploy(folder: string): Promise<Fault> {
  const release = join(folder, 'release');
  await cp(join(ROOT, 'dist'), join(release, 'dist'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(release, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(release, 'node_modules'));
  const workflow = join(release, 'dist/workflows/pipeline.js');
  const code = await readFile(workflow, 'utf8');
  if (code.split(BEFORE_END).length !== 2) throw new Error(`${workflow} does not have "${BEFORE_END}" once`);
  await writeFile(workflow, `${IMPORT}\n${code.replace(BEFORE_END, `${STEP}\n${BEFORE_END}`)}`);
  await run(process.execPath, [join(release, 'dist/workers/bundle.js')], { cwd: release });
  return {
    name: ROLLING_DEPLOY,
    says: 'workers with new workflow code beside the old ones, which are then stopped; and back',
    isKill: false,
    run: (scene, _random, broken) => roll(scene, join(release, 'dist/workers/worker.js'), broken),
  };
}

async function roll({ supervisor, workerEnv, folder }: Scene, entry: string, broken: () => void): Promise<Broken> {
  const old = supervisor.names().filter((name) => name.startsWith('worker'));
  const env = { ...process.env, ...workerEnv(0), SLUICE_PIPELINES: join(ROOT, 'chaos/pipelines') };
  const pool = startWorkerPool({ entry, count: old.length, env, nodeArgs: [], logs: join(folder, 'logs', 'release') });
  const back = async () => {
    for (const name of old) await supervisor.release(name);
    for (const name of old) await supervisor.untilUp(name);
    await pool.stop();
  };
  try {
    await pool.ready();
    broken();
    for (const name of old) {
      supervisor.hold(name);
      await supervisor.stopPart(name);
    }
  } catch (error) {
    await back();
    throw error;
  }
  // Until nothing of what the new code has begun is open, the old code may not go on with it.
  return {
    what: `${old.length} workers`,
    missed: async (runs, ended) => {
      const patched = await Promise.all(ended.map((each) => runs.isPatched(each, PATCH)));
      return patched.some(Boolean) ? null : 'no run came to the changed step';
    },
    back,
  };
}
