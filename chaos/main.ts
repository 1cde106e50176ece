/** `npm run chaos`: breaks a cluster of its own while pipelines run. */
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { plainTable } from '../bench/table.ts';
import { Database } from '../src/connectors/postgres/database.ts';
import { describeError } from '../src/errors.ts';
import { makeDeploy, ROLLING_DEPLOY } from './faults/deploy.ts';
import { DISK_FULL, diskFull } from './faults/disk-full.ts';
import { NETWORK_FAULTS } from './faults/network.ts';
import { PROCESS_FAULTS } from './faults/processes.ts';
import { measureLoad } from './load.ts';
import { type ChaosOptions, LOAD_MINUTES, parseOptions } from './options.ts';
import { measurePromises } from './promises.ts';
import { Random, seedOf } from './random.ts';
import { proveRegions } from './regions/proof.ts';
import { RegionsScene } from './regions/scene.ts';
import { faultsJson, faultsTable, loadTable, promisesTable, regionsTable } from './report.ts';
import { commitOf, readResults } from './results.ts';
import { type Arena, type RoundContext, round, storm } from './round.ts';
import { Runs } from './runs.ts';
import { ROOT, type Scene, startScene } from './scene.ts';
import type { SmallDisk } from './small-disk.ts';
import { Suite } from './suite.ts';

const say = (message: string) => console.error(`chaos ${process.uptime().toFixed(0).padStart(5)} s: ${message}`);
const PIPELINES = ['departures', 'delays', 'flights', 'zipcodes'];
const WORKERS = 2;
/** Kills of one storm, at most: then the runs may end, and are looked at. */
const STORM = 12;

const cleanups: (() => Promise<unknown>)[] = [];
let cleaning: Promise<void> | null = null;
function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    for (const each of cleanups.reverse()) await each().catch((error) => say(`cleaning up: ${error}`));
  })();
  return cleaning;
}

async function run(options: ChaosOptions, suite: Suite): Promise<void> {
  if (options.regions) await runRegions(suite);
  else await runCluster(options, suite);
}

async function runRegions(suite: Suite): Promise<void> {
  const scene = await RegionsScene.start(cleanups, say);
  cleanups.push(() => scene.keepLogs(join(dirname(suite.files.results), 'logs'), () => suite.failed));
  const steps = await proveRegions(scene, say).catch((error) => {
    suite.failed = true;
    throw error;
  });
  await suite.setRegions({ at: new Date().toISOString(), steps });
}

async function runCluster(options: ChaosOptions, suite: Suite): Promise<void> {
  const names = [...[...PROCESS_FAULTS, ...NETWORK_FAULTS].map(({ name }) => name), ROLLING_DEPLOY, DISK_FULL];
  if (!names.some((name) => isWanted(options, name))) throw new Error(`no fault is called so; there are: ${names.join(', ')}`);
  say(`seed ${options.seed}: the same again with --seed ${options.seed}`);
  const scene = await startScene({ workers: WORKERS, say });
  cleanups.push(() => scene.stop());
  cleanups.push(() => keepLogs(scene, suite));
  const runs = new Runs(scene.addresses);
  cleanups.push(() => runs.close());
  const context: RoundContext = { scene, runs, random: new Random(options.seed), say };
  const arena: Arena = { target: scene.admin, pipelines: PIPELINES };
  const end = Date.now() + (options.minutes ?? 24 * 60) * 60_000;

  if (options.load !== null) await suite.setLoad(await measureLoad(context, options.load, (options.minutes ?? LOAD_MINUTES) * 60_000));
  else if (options.promises !== null) await suite.setPromises(await measurePromises(context, arena, options.promises, end));
  else if (options.kills !== null) await killsUntil(options.kills, options.seed, end, context, arena, suite);
  else await everyFault(options, end, context, arena, suite);
}

/** What went wrong is to be looked into. */
async function keepLogs({ folder }: Scene, { failed, files }: Suite): Promise<void> {
  const logs = join(dirname(files.results), 'logs');
  await rm(logs, { recursive: true, force: true });
  if (!failed) return;
  await cp(join(folder, 'logs'), logs, { recursive: true });
  say(`the logs of all parts: ${logs}`);
}

async function killsUntil(kills: number, seed: number, end: number, context: RoundContext, arena: Arena, suite: Suite): Promise<void> {
  const faults = PROCESS_FAULTS.filter(({ isKill }) => isKill);
  const done = () => faults.reduce((sum, { name }) => sum + (suite.all.faults[name]?.tried ?? 0), 0);
  say(`${done()} of ${kills} kills`);
  for (let nth = 0; done() < kills && Date.now() < end && !suite.failed; nth += 1) {
    // The first storm of a seed is that seed's own, so that any of them can be the first.
    const own = nth === 0 ? seed : seedOf(seed, `storm ${nth}`);
    const random = new Random(own);
    const next = () => random.pick(faults);
    const { trials, problems } = await storm({ ...context, random }, arena, { next, most: Math.min(STORM, kills - done()) });
    await suite.add(trials, problems, faults);
    say(`${done()} of ${kills} kills`);
    if (suite.failed) say(`the same storm again: --kills ${STORM} --seed ${own} --out FOLDER`);
  }
}

async function everyFault(options: ChaosOptions, end: number, context: RoundContext, arena: Arena, suite: Suite): Promise<void> {
  const { scene } = context;
  const small = scene.smallDisk;
  const full = small ? diskFull(small) : null;
  const faults = [...PROCESS_FAULTS, ...NETWORK_FAULTS, await makeDeploy(scene.folder), ...(full ? [full] : [])];
  if (!small) say('disk full: left out, for this machine does not let us mount a file system');
  const wanted = faults.filter(({ name }) => isWanted(options, name));
  const onSmall = small ? await smallArena(small) : null;
  for (let time = 0; time < options.times; time += 1) {
    for (const fault of wanted) {
      if (Date.now() > end) return;
      // Each has numbers of its own, so that it can be repeated without the others.
      const random = new Random(seedOf(options.seed, `${fault.name} ${time}`));
      const trial = await round({ ...context, random }, fault === full && onSmall ? onSmall : arena, fault);
      const recovered = trial.recoverSeconds === null ? '' : `, recovered in ${trial.recoverSeconds.toFixed(1)} s`;
      say(
        `${fault.name} (${trial.what}): ${trial.problems.length === 0 ? 'survived' : 'NOT SURVIVED'}${recovered}, ${trial.seconds.toFixed(0)} s in all`,
      );
      await suite.add([trial], trial.problems, faults);
    }
  }
}

function isWanted({ only }: ChaosOptions, name: string): boolean {
  return only.length === 0 || only.some((part) => name.includes(part));
}

async function smallArena(small: SmallDisk): Promise<Arena> {
  const target = new Database('target', small.url, { max: 4 });
  cleanups.push(() => target.close());
  return { target, pipelines: Array.from({ length: 4 }, () => 'departures_on_small_disk') };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    say('interrupted: stopping what was started; what was found is kept');
    cleanUp().finally(() => process.exit(130));
  });
}

const options = parseOptions(process.argv.slice(2));
const out = options.out === null ? null : resolve(options.out);
process.chdir(ROOT);
if (out) await mkdir(out, { recursive: true });
const files = { results: join(out ?? join(ROOT, 'chaos'), 'results.json'), document: join(out ?? join(ROOT, 'docs'), 'reliability.md') };
const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const all = await readResults(files.results, version);
const suite = new Suite({ seed: options.seed, commit: await commitOf(ROOT), files, all, say });
try {
  await run(options, suite);
  // All kills that were asked for may have been there before.
  if (!suite.hasTried && options.kills === null) throw new Error('nothing was tried');
} catch (error) {
  console.error(`chaos: ${describeError(error)}`);
  suite.failed = true;
}
await cleanUp();
// Kills are accumulated, and told as such.
const shown = options.kills === null ? suite.session : suite.all;
if (!options.regions) console.log(plainTable(faultsTable(shown)).join('\n'));
if (suite.session.regions) console.log(plainTable(regionsTable(suite.session.regions)).join('\n'));
if (suite.session.promises) console.log(plainTable(promisesTable(suite.session.promises)).join('\n'));
if (suite.session.load) console.log(plainTable(loadTable(suite.session.load)).join('\n'));
console.log(`${suite.failed ? 'NOT all survived' : 'All survived'}; seed ${options.seed}; written: ${files.results}, ${files.document}`);
if (options.json)
  console.log(
    JSON.stringify({
      ...{ seed: options.seed, faults: faultsJson(shown) },
      ...{ regions: suite.session.regions?.steps ?? [], load: suite.session.load, promises: suite.session.promises },
    }),
  );
process.exit(suite.failed ? 1 : 0);
