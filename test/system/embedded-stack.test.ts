/** What a person gets from `npm start` and `sluice dev`: an own stack in an own folder, which survives everything. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../../src/contracts/run.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { CLI, FLIGHTS, writePipelines } from '../helpers/workers.ts';

const FLIGHTS_PIPELINE = `
import { definePipeline, month, parquet, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: 'flights',
  source: parquet({ files: '${FLIGHTS}' }),
  // The month with the impossible delays.
  partitionBy: month('date', { from: '2001-02-01', to: '2001-03-01' }),
  row: z.object({ date: z.date(), delay: z.int().min(-120), distance: z.int(), origin: z.string(), destination: z.string() }),
  target: postgres({ table: 'flights', mode: 'replace', scope: 'partition' }),
  tolerate: { quarantined: '0.1%' },
  chunk: { rows: 10_000 },
});`;

/** An environment in which nothing is set up: the embedded stack must bring everything. */
function bareEnvironment(): NodeJS.ProcessEnv {
  const { TEMPORAL_ADDRESS: _address, SLUICE_DATABASE_URL: _database, ...env } = process.env;
  return env;
}

async function userFolder(): Promise<string> {
  const folder = await temporaryFolder('user');
  await writePipelines(folder, { 'flights.ts': FLIGHTS_PIPELINE });
  return folder;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function sluice(folder: string, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, env: bareEnvironment() });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const code = await new Promise<number | null>((done) => child.once('exit', done));
  return { code, stdout, stderr };
}

const lastJson = (text: string) => JSON.parse(text.trim().split('\n').at(-1) ?? '');

interface StackFile {
  readonly temporal: { readonly process: { readonly pid: number }; readonly address: string } | null;
  readonly database: { readonly process: { readonly pid: number }; readonly url: string } | null;
  readonly workers: readonly { readonly process: { readonly pid: number } }[];
}

async function stackOf(folder: string): Promise<StackFile> {
  return JSON.parse(await readFile(join(folder, '.sluice/stack.json'), 'utf8'));
}

/** Command lines of running processes that name the folder. */
async function commandLinesWith(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(folder));
}

async function startDev(folder: string): Promise<ChildProcess> {
  const dev = spawn(process.execPath, [CLI, 'dev'], { cwd: folder, env: bareEnvironment(), stdio: 'ignore' });
  cleanups.push(async () => {
    const ended = new Promise((done) => dev.once('exit', done));
    if (dev.exitCode !== null || dev.signalCode !== null) return;
    dev.kill('SIGINT');
    await ended;
  });
  await until('the stack is up', async () => {
    const { code, stdout } = await sluice(folder, 'doctor', '--json');
    return code === 0 && stdout.length > 0;
  });
  return dev;
}

test('sluice dev --run loads the flights, says how it went, and the second time that nothing changed', async () => {
  const folder = await userFolder();

  const first = await sluice(folder, 'dev', '--run', 'flights', '--json');
  expect(first.code).toBe(0);
  expect(lastJson(first.stdout)).toMatchObject({
    pipeline: 'flights',
    status: 'succeeded',
    rowsRead: 458_170,
    rowsLoaded: 458_167,
    rowsQuarantined: 3,
    partitions: 1,
    unchanged: false,
    run: expect.any(String),
    chunks: expect.any(Number),
    seconds: expect.any(Number),
    rowsPerSecond: expect.any(Number),
    webUi: expect.stringContaining('http'),
    database: expect.stringContaining('postgres'),
  });

  const second = await sluice(folder, 'dev', '--run', 'flights');
  expect(second.code).toBe(0);
  expect(second.stdout).toContain('already identical');

  // and it stopped what it had started
  expect(await commandLinesWith(folder)).toEqual([]);
}, 180_000);

test('a run survives SIGKILL of the whole stack, the command included', async () => {
  // given a run in the middle of extract
  const folder = await userFolder();
  const dev = await startDev(folder);
  expect((await sluice(folder, 'run', 'flights', '--id', 'survivor', '--detach')).code).toBe(0);
  const show = async () => lastJson((await sluice(folder, 'show', 'survivor', '--json')).stdout) as { progress: Progress | null };
  await until('some chunks are copied', async () => ((await show()).progress?.chunks ?? 0) > 0);

  // when everything is killed at once
  const { temporal, database, workers } = await stackOf(folder);
  dev.kill('SIGKILL');
  for (const { process: part } of [...workers, ...(temporal ? [temporal] : []), ...(database ? [database] : [])]) {
    process.kill(part.pid, 'SIGKILL');
  }

  // then the next start goes on with it, and it ends right
  await startDev(folder);
  const attached = await sluice(folder, 'run', 'flights', '--id', 'survivor', '--json');
  expect(attached.code).toBe(0);
  expect(lastJson(attached.stdout)).toMatchObject({ status: 'succeeded', rowsRead: 458_170, rowsLoaded: 458_167 });
  const url = (await stackOf(folder)).database?.url ?? '';
  expect(await contentOf(url, 'flights')).toMatchObject({ rows: 458_167 });
}, 180_000);

test('sluice dev --stop ends the sluice dev of another terminal with it, workers and all', async () => {
  const folder = await userFolder();
  const dev = await startDev(folder);
  const { workers } = await stackOf(folder);
  const gone = new Promise((done) => dev.once('exit', done));

  expect(await sluice(folder, 'dev', '--stop')).toMatchObject({ code: 0, stdout: expect.stringContaining('Stopped.') });

  expect(await gone).toBe(0);
  expect(workers.length).toBeGreaterThan(0);
  for (const { process: worker } of workers) expect(() => process.kill(worker.pid, 0)).toThrow('ESRCH');
  expect(await commandLinesWith(folder)).toEqual([]);
}, 120_000);
