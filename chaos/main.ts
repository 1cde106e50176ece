/** `npm run chaos`: breaks a cluster of its own while pipelines run. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { plainTable } from '../bench/table.ts';
import { Database } from '../src/connectors/postgres/database.ts';
import { writeJsonFile } from '../src/local/json-file.ts';
import { makeDeploy } from './faults/deploy.ts';
import { diskFull } from './faults/disk-full.ts';
import type { Fault } from './faults/fault.ts';
import { NETWORK_FAULTS } from './faults/network.ts';
import { PROCESS_FAULTS } from './faults/processes.ts';
import { measureLoad } from './load.ts';
import { type ChaosOptions, LOAD_MINUTES, parseOptions } from './options.ts';
import { measurePromises } from './promises.ts';
import { Random } from './random.ts';
import { proveRegions } from './regions/proof.ts';
import { RegionsScene } from './regions/scene.ts';
import { faultsJson, faultsTable, loadTable, promisesTable, regionsTable, writeDocument } from './report.ts';
import { addTrial, type Results, readResults } from './results.ts';
import { type Arena, type RoundContext, round, storm, type Trial } from './round.ts';
import { Runs } from './runs.ts';
import { ROOT, type Scene, startScene } from './scene.ts';
import type { SmallDisk } from './small-disk.ts';

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

interface Files {
  readonly results: string;
  readonly document: string;
}

class Suite {
  readonly files: Files;
  /** Over all calls. */
  all: Results;
  /** Of this call. */
  session: Results;
  failed = false;
  readonly #seed: number;

  constructor(seed: number, files: Files, all: Results) {
    this.#seed = seed;
    this.files = files;
    this.all = all;
    this.session = { ...all, seeds: [seed], faults: {}, load: null, promises: null, regions: null };
  }

  async add(trials: readonly Trial[], faults: readonly Fault[]): Promise<void> {
    for (const trial of trials) {
      const fault = faults.find(({ name }) => name === trial.fault) as Fault;
      this.session = addTrial(this.session, trial, fault, this.#seed);
      this.all = addTrial(this.all, trial, fault, this.#seed);
    }
    const problems = [...new Set(trials.flatMap((trial) => trial.problems))];
    for (const problem of problems) say(`NOT SURVIVED: ${problem}`);
    this.failed ||= problems.length > 0;
    await this.save();
  }

  async setLoad(load: NonNullable<Results['load']>): Promise<void> {
    this.session = { ...this.session, load };
    this.all = { ...this.all, load };
    this.failed ||= load.problems.length > 0;
    await this.save();
  }

  async setPromises(promises: NonNullable<Results['promises']>): Promise<void> {
    this.session = { ...this.session, promises };
    this.all = { ...this.all, promises };
    this.failed ||= promises.problems.length > 0;
    await this.save();
  }

  async setRegions(regions: NonNullable<Results['regions']>): Promise<void> {
    this.session = { ...this.session, regions };
    this.all = { ...this.all, regions };
    this.failed ||= regions.steps.some(({ problems }) => problems.length > 0);
    await this.save();
  }

  async save(): Promise<void> {
    await writeJsonFile(this.files.results, this.all);
    await writeDocument(this.files.document, join(ROOT, 'docs/reliability.md'), this.all);
  }
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
  else if (options.promises !== null) await suite.setPromises(await measurePromises(context, arena, options.promises));
  else if (options.kills !== null) await killsUntil(options.kills, end, context, arena, suite);
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

async function killsUntil(kills: number, end: number, context: RoundContext, arena: Arena, suite: Suite): Promise<void> {
  const faults = PROCESS_FAULTS.filter(({ isKill }) => isKill);
  const done = () => faults.reduce((sum, { name }) => sum + (suite.all.faults[name]?.tried ?? 0), 0);
  while (done() < kills && Date.now() < end && !suite.failed) {
    const next = () => context.random.pick(faults);
    await suite.add(await storm(context, arena, { next, most: Math.min(STORM, kills - done()) }), faults);
    say(`${done()} of ${kills} kills`);
  }
}

async function everyFault(options: ChaosOptions, end: number, context: RoundContext, arena: Arena, suite: Suite): Promise<void> {
  const { scene } = context;
  const small = scene.smallDisk;
  const full = small ? diskFull(small) : null;
  const faults = [...PROCESS_FAULTS, ...NETWORK_FAULTS, await makeDeploy(scene.folder), ...(full ? [full] : [])];
  if (!small) say('disk full: left out, for this machine does not let us mount a file system');
  const wanted = faults.filter(({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)));
  const onSmall = small ? await smallArena(small) : null;
  for (let time = 0; time < options.times; time += 1) {
    for (const fault of wanted) {
      if (Date.now() > end) return;
      const trial = await round(context, fault === full && onSmall ? onSmall : arena, fault);
      const recovered = trial.recoverSeconds === null ? '' : `, recovered in ${trial.recoverSeconds.toFixed(1)} s`;
      say(
        `${fault.name} (${trial.what}): ${trial.problems.length === 0 ? 'survived' : 'NOT SURVIVED'}${recovered}, ${trial.seconds.toFixed(0)} s in all`,
      );
      await suite.add([trial], faults);
    }
  }
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
const suite = new Suite(options.seed, files, await readResults(files.results));
try {
  await run(options, suite);
} catch (error) {
  console.error('chaos:', error);
  suite.failed = true;
}
await cleanUp();
if (!options.regions) console.log(plainTable(faultsTable(suite.session)).join('\n'));
if (suite.session.regions) console.log(plainTable(regionsTable(suite.session.regions)).join('\n'));
if (suite.session.promises) console.log(plainTable(promisesTable(suite.session.promises)).join('\n'));
if (suite.session.load) console.log(plainTable(loadTable(suite.session.load)).join('\n'));
console.log(`${suite.failed ? 'NOT all survived' : 'All survived'}; seed ${options.seed}; written: ${files.results}, ${files.document}`);
if (options.json)
  console.log(
    JSON.stringify({
      ...{ seed: options.seed, faults: faultsJson(suite.session) },
      ...{ regions: suite.session.regions?.steps ?? [], load: suite.session.load, promises: suite.session.promises },
    }),
  );
process.exit(suite.failed ? 1 : 0);
