/** What happens to runs when a region is lost, comes back, or hands over. Each step leaves both regions well. */
import { setTimeout as delay } from 'node:timers/promises';
import { Database } from '../../src/connectors/postgres/database.ts';
import { describeError, SluiceError } from '../../src/errors.ts';
import { regionGuard } from '../../src/ledger/regions.ts';
import type { ReconciledRun } from '../../src/regions/reconcile.ts';
import type { RegionsStatus } from '../../src/regions/region-status.ts';
import type { GivenUp } from '../../src/regions/rejoin.ts';
import type { RegionsResult } from '../results.ts';
import { cutReplication } from './cut.ts';
import { type Commit, commitsIn, Moves, type RegionRun, startRun, untilCommits, untilEnded, whatIsWrong } from './runs.ts';
import { type RegionsScene, until } from './scene.ts';

type Step = RegionsResult['steps'][number];
const NOTHING = { recoverSeconds: null, stallSeconds: null, rowsLost: null, rowsSaidLost: null };
const WELL_MS = 120_000;
const PROXIES = ['haproxy1', 'haproxy2'];
const UNACKNOWLEDGED_MS = 2_000;
/** What is promised. */
const MOST_RECOVER_SECONDS = 60;
const MOST_STALL_SECONDS = 20;

export async function proveRegions(scene: RegionsScene, say: (message: string) => void): Promise<Step[]> {
  const steps: Step[] = [];
  for (const step of [lostSynchronous, comesBack, cutOff, handsOverAndBack, lostAsynchronous, commandDies, lostAtHandover, goesOnAlone]) {
    const done = await step(scene);
    for (const problem of done.problems) say(`NOT AS IT SHOULD BE: ${problem}`);
    say(`${done.step}: ${done.problems.length === 0 ? 'as it should be' : 'NOT as it should be'}`);
    steps.push(done);
  }
  return steps;
}

async function sides(scene: RegionsScene): Promise<[from: string, to: string]> {
  const from = await scene.active();
  return [from, scene.regions.othersThan(from)[0]?.name ?? ''];
}

async function lostSynchronous(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  await scene.sluice('region', 'replication', 'synchronous');
  await untilSynchronous(scene, from);
  const runs = [await startRun(scene, 'by-partition'), await startRun(scene, 'at-once')];
  await untilCommits(scene.target(from), runs, 3);
  const committed = await commitsIn(scene.target(from), runs);
  await scene.kill(from);
  const told = await scene.sluice('list').catch(String);
  const lost = await goOn(scene, to, runs, committed);
  const problems = [...lost.problems, ...(await endOf(scene, runs))];
  if (!new RegExp(`ActiveRegionUnreachable.*failover ${to} --force`).test(String(told))) problems.push(`clients are not told: ${told}`);
  if (lost.rowsLost > 0) problems.push(`${lost.rowsLost} committed rows were lost with a synchronous standby`);
  return { step: 'a region is killed whole, its standby synchronous', stallSeconds: null, ...lost, problems };
}

async function comesBack(scene: RegionsScene): Promise<Step> {
  const [active, back] = await sides(scene);
  const problems: string[] = [];
  await scene.sluice('cluster', 'start', back);
  await until(
    'it is told why it is no primary',
    async () => /is not made a primary here: the other region has one/.test(await scene.log(back, 'target')),
    WELL_MS,
  );
  if ((await scene.regions.target(back).node())?.role !== 'standby') problems.push(`the target of region ${back} is a primary again`);

  // A worker of the old region that reaches the new primary all the same.
  const stale = new Database('target', urlOf(scene, active), { max: 1, guard: regionGuard(back) });
  const refusal = await stale.transaction(async (client) => client.query('delete from sluice.commits')).catch((error: unknown) => error);
  await stale.close();
  if (!(refusal instanceof SluiceError) || refusal.code !== 'RegionSuperseded')
    problems.push(`a worker of region ${back} may write: ${describeError(refusal)}`);

  // It starts where it sees nobody, and waits until it does.
  await scene.kill(active);
  await scene.sluice('cluster', 'kill', `${back}-target`);
  await until(
    'it is told that nobody can be asked',
    async () => /cannot be asked whether it has taken over/.test(await scene.log(back, 'target')),
    WELL_MS,
  );
  await scene.sluice('cluster', 'start', active);
  await until('the right one is the primary', async () => (await scene.regions.target(active).node())?.role === 'primary', WELL_MS);
  if ((await scene.regions.target(back).node())?.role !== 'standby') problems.push(`the target of region ${back} is a primary again`);
  const { givenUp } = (await scene.sluice('region', 'rejoin', back)) as unknown as { givenUp: GivenUp[] };
  if (givenUp.length > 0) problems.push(`it had commits of its own: ${JSON.stringify(givenUp)}`);
  return { step: 'it comes back by itself', ...NOTHING, problems };
}

/** What it commits from then on is seen by nobody, and is named when it rejoins. */
async function cutOff(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  const problems: string[] = [];
  await scene.sluice('region', 'replication', 'synchronous');
  await untilSynchronous(scene, from);
  const open = await startRun(scene, 'by-partition');
  await untilCommits(scene.target(from), [open], 2);
  for (const proxy of PROXIES) await scene.sluice('cluster', 'kill', `${from}-${proxy}`, '--hold');
  await scene.sluice('region', 'failover', to, '--force');
  const alone = await scene.direct(from);
  // Its standby is synchronous, and follows it no more: nothing that it commits is acknowledged. What is asked not to wait is only there.
  const acknowledged = alone
    .query(`insert into sluice.commits (run_key, unit, result) values ('stale/1', 'load', '{"rowsLoaded": 17}')`)
    .then(
      () => true,
      () => false,
    );
  if (await Promise.race([acknowledged, delay(UNACKNOWLEDGED_MS).then(() => false)])) {
    problems.push(`region ${from} alone has acknowledged a commit, though it has a synchronous standby`);
  }
  const careless = await scene.direct(from);
  await careless.transaction(async (client) => {
    await client.query('set local synchronous_commit = local');
    await client.query(`insert into sluice.commits (run_key, unit, result) values ('stale/2', 'load', '{"rowsLoaded": 18}')`);
  });
  await careless.query(`select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
  await Promise.all([alone.close(), careless.close()]);
  const run = await startRun(scene, 'at-once', 30_000);
  for (const proxy of PROXIES) await scene.sluice('cluster', 'start', `${from}-${proxy}`);
  const said = await until(
    'two primaries are said',
    async () => {
      const { problems: of } = (await scene.sluice('region', 'status')) as unknown as RegionsStatus;
      return of.find((problem) => /both have a primary/.test(problem));
    },
    WELL_MS,
  );
  const stale = await scene.sluice('region', 'failover', from, '--force').catch(String);
  if (!/RegionStale/.test(String(stale))) problems.push(`it may take over with what it does not know: ${JSON.stringify(stale)}`);
  if (!said.includes('rejoin')) problems.push(`status does not say what to do: ${said}`);
  const { givenUp } = (await scene.sluice('region', 'rejoin', from)) as unknown as { givenUp: GivenUp[] };
  if (!givenUp.some(({ run: of, rows }) => of === 'stale/2' && rows === 18)) problems.push(`what only region ${from} had is not named`);
  problems.push(...(await endOf(scene, [open, run])));
  const left = await scene.target(from).query(`select from sluice.commits where run_key like 'stale/%'`);
  if (left.length > 0) problems.push(`what only region ${from} had is still there`);
  return { step: 'a region is cut off, lives on, and is seen again', ...NOTHING, problems };
}

async function handsOverAndBack(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  const runs = [await startRun(scene, 'by-partition'), await startRun(scene, 'at-once')];
  await untilCommits(scene.target(from), runs, 1);
  const moves = new Moves(scene);
  await scene.sluice('region', 'handover', to);
  const before = (await commitsIn(scene.target(to), runs)).length;
  await untilCommits(scene.target(to), runs, Math.min(before + 1, 15));
  await scene.sluice('region', 'handover', from);
  for (const run of runs) await untilEnded(scene, run);
  await moves.stop();
  const problems = await whatIsWrong(scene, runs);
  const stallSeconds = moves.longestMs / 1000;
  const late = stallSeconds > MOST_STALL_SECONDS ? `${MOST_STALL_SECONDS} s are promised` : undefined;
  if ((await scene.active()) !== from) problems.push(`region ${from} is not active`);
  return { step: 'handed over and back, while runs go on', ...NOTHING, stallSeconds, rowsLost: 0, problems, late };
}

async function lostAsynchronous(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  await scene.sluice('region', 'replication', 'asynchronous');
  const open = await startRun(scene, 'by-partition');
  await pause(scene, open);
  const go = await cutReplication(scene, from, to);
  const ended = await startRun(scene, 'at-once', 30_000);
  await untilEnded(scene, ended);
  await scene.sluice('resume', open.id);
  await untilCommits(scene.target(from), [open], 2);
  await pause(scene, open);
  const runs = [open, ended];
  await until(
    'the other region has all histories',
    async () =>
      ((await scene.sluice('region', 'status')) as unknown as RegionsStatus).regions.every(({ eventsBehind }) => eventsBehind === 0),
    WELL_MS,
  );
  const committed = await commitsIn(scene.target(from), runs);
  await scene.kill(from);
  go();
  const lost = await goOn(scene, to, runs, committed, () => scene.sluice('resume', open.id));
  const problems = [...lost.problems, ...(await endOf(scene, runs))];
  if (lost.rowsLost === 0) problems.push('nothing was lost: nothing is proved');
  await scene.sluice('cluster', 'start', from);
  await scene.sluice('region', 'rejoin', from);
  return { step: 'a region is killed whole, its standby cut off before', stallSeconds: null, ...lost, problems };
}

/** Until nothing of it is in hand. */
async function pause(scene: RegionsScene, { id }: RegionRun): Promise<void> {
  await scene.sluice('pause', id);
  await until(
    'it is paused',
    async () => {
      const { status, activities = [] } = (await scene.sluice('show', id)) as { status: string; activities?: readonly unknown[] };
      return status === 'paused' && activities.length === 0;
    },
    WELL_MS,
  );
}

/** What the commands say as they begin with a step; a repeated one leaves out what is done. */
const HANDOVER_STEPS = [/Moving the target/, /Handing the namespace/, /Waiting until the target/];
const FAILOVER_STEPS = [/cannot be reached/, /Making the target/, /Comparing the histories/, /Making the namespace/, /Looking after runs/];

async function commandDies(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  const run = await startRun(scene, 'by-partition');
  await untilCommits(scene.target(from), [run], 1);
  const problems: string[] = [];
  // At each of its steps, as it begins with it.
  const dies = async (saying: RegExp, ...command: string[]) => {
    if (!(await scene.sluiceKilledAt(saying, 'region', ...command))) problems.push(`${command[0]} did not come to say ${saying}`);
  };
  for (const saying of HANDOVER_STEPS) await dies(saying, 'handover', to);
  await scene.sluice('region', 'handover', to);
  if ((await scene.active()) !== to) problems.push(`region ${to} is not active`);
  await scene.kill(to);
  for (const saying of FAILOVER_STEPS) await dies(saying, 'failover', from, '--force');
  await scene.sluice('region', 'failover', from, '--force');
  problems.push(...(await endOf(scene, [run])));
  await scene.sluice('cluster', 'start', to);
  await scene.sluice('region', 'rejoin', to);
  const status = (await scene.sluice('region', 'status')) as unknown as RegionsStatus;
  problems.push(...status.problems);
  return { step: 'the command dies in the middle, and is repeated', ...NOTHING, problems };
}

/** Its commits since it became the primary are nowhere else, and it may not become one again. The region may have to be copied anew. */
async function lostAtHandover(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  const problems: string[] = [];
  await scene.sluice('region', 'replication', 'asynchronous');
  const run = await startRun(scene, 'by-partition');
  await untilCommits(scene.target(from), [run], 1);
  const handover = scene.sluice('region', 'handover', to).catch(() => {});
  await until('the target has moved', async () => (await scene.regions.target(to).node())?.role === 'primary', WELL_MS);
  await scene.kill(to);
  await handover;
  await scene.sluice('region', 'failover', from, '--force');
  await scene.sluice('cluster', 'start', to);
  await until(
    'it is told why it is no primary',
    async () => /is not made a primary here: the other region has one/.test((await scene.log(to, 'target')).slice(-20_000)),
    WELL_MS,
  );
  problems.push(...(await endOf(scene, [run])));
  if ((await scene.regions.target(to).node())?.role !== 'standby') problems.push(`the target of region ${to} is a primary again`);
  const rejoined = await scene.sluice('region', 'rejoin', to).catch(String);
  if (typeof rejoined === 'string' && !/RegionDiverged/.test(rejoined)) problems.push(`it cannot rejoin: ${rejoined}`);
  return { step: 'a region is lost as it is handed over to', ...NOTHING, problems };
}

interface GoneOn {
  readonly problems: readonly string[];
  readonly recoverSeconds: number;
  readonly rowsLost: number;
  readonly rowsSaidLost: number;
}

/** Forces the failover, and compares what it says with what the lost region had committed. */
async function goOn(
  scene: RegionsScene,
  to: string,
  runs: readonly RegionRun[],
  committed: readonly Commit[],
  then: () => Promise<unknown> = async () => {},
): Promise<GoneOn> {
  const problems: string[] = [];
  const began = Date.now();
  const answer = (await scene.sluice('region', 'failover', to, '--force')) as unknown as { runs: ReconciledRun[] };
  await then();
  const target = scene.target(to);
  await until(
    'something is copied in the other region',
    async () => {
      const rows = await target.query(
        'select from sluice.chunks where recorded_at > $1 union all select from sluice.commits where committed_at > $1',
        [new Date(began)],
      );
      return rows.length > 0;
    },
    WELL_MS,
  );
  const recoverSeconds = (Date.now() - began) / 1000;
  if (recoverSeconds > MOST_RECOVER_SECONDS) problems.push(`the first new chunk came after ${recoverSeconds.toFixed(1)} s`);
  // One that was repeated has another time.
  const kept = new Set((await commitsIn(target, runs)).map(({ run, unit, at }) => `${run} ${unit} ${at}`));
  const rowsLost = committed.filter(({ run, unit, at }) => !kept.has(`${run} ${unit} ${at}`)).reduce((sum, { rows }) => sum + rows, 0);
  const rowsSaidLost = answer.runs.reduce((sum, each) => sum + (each.rowsLost ?? Number.NaN), 0);
  if (rowsLost !== rowsSaidLost)
    problems.push(`${rowsLost} rows were lost, and the command said ${rowsSaidLost}: ${JSON.stringify(answer.runs)}`);
  return { problems, recoverSeconds, rowsLost, rowsSaidLost };
}

async function endOf(scene: RegionsScene, runs: readonly RegionRun[]): Promise<string[]> {
  for (const run of runs) await untilEnded(scene, run);
  return await whatIsWrong(scene, runs);
}

/**
 * A region that was given up comes back where the other is lost, and a person lets it go on. Its Temporal has never heard that it was given up, and the
 * other one's must believe it when it comes back. The last step: both were made primaries by force.
 */
async function goesOnAlone(scene: RegionsScene): Promise<Step> {
  const [from, to] = await sides(scene);
  const problems: string[] = [];
  await scene.kill(from);
  await scene.sluice('region', 'failover', to, '--force');
  await scene.kill(to);
  await scene.sluice('cluster', 'start', from);
  const answered = async () => (await scene.regions.target(from).node()) !== null && (await scene.regions.view(from)) !== null;
  await until('it is up', answered, WELL_MS);
  await scene.sluice('region', 'failover', from, '--force');
  const run = await startRun(scene, 'at-once', 30_000);
  await scene.sluice('cluster', 'start', to);
  await until('both say that it is active', async () => (await scene.regions.view(to))?.active === from, WELL_MS);
  if ((await scene.regions.view(from))?.active !== from) problems.push(`region ${from} has made way for the other one`);
  problems.push(...(await endOf(scene, [run])));
  return { step: 'a region that was given up goes on, the other is lost', ...NOTHING, problems };
}

async function untilSynchronous(scene: RegionsScene, region: string): Promise<void> {
  await until(
    'commits wait for the other region',
    async () =>
      (await scene.target(region).query<{ names: string }>(`select current_setting('synchronous_standby_names') as names`))[0]?.names !==
      '',
    WELL_MS,
  );
}

function urlOf(scene: RegionsScene, region: string): string {
  const proxies = scene.regions.region(region).proxies.map((proxy) => `${proxy}:5442`);
  return (scene.env.SLUICE_DATABASE_URL ?? '').replace(/@.*$/, `@${proxies.join(',')}/sluice`);
}
