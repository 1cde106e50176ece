import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { build } from 'esbuild';
import { identify, isAlive, waitUntilGone } from '../../../src/local/process-identity.ts';
import { startWorkerPool, type WorkerPool, type WorkerPoolOptions } from '../../../workers/pool.ts';

let folder: string;
let pool: WorkerPool | null;
let said: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-pool-'));
  pool = null;
  said = [];
});
afterEach(async () => {
  await pool?.kill();
  await rm(folder, { recursive: true, force: true });
});

const good = `process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => { console.log('finishing'); process.exit(0); });
  setInterval(() => {}, 1000);
  process.send({ type: 'ready' });`;

async function startPool(program: string, options: Partial<WorkerPoolOptions> = {}): Promise<WorkerPool> {
  await writeFile(join(folder, 'worker.cjs'), program);
  pool = startWorkerPool({
    entry: join(folder, 'worker.cjs'),
    count: 2,
    logs: folder,
    nodeArgs: [],
    restartDelayMs: 20,
    onProgress: (message) => said.push(message),
    ...options,
  });
  return pool;
}

function untilChanged(watched: WorkerPool, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => condition() && resolve();
    watched.onChange(look);
    look();
  });
}

test('knows when its workers are ready, and stops them gracefully', async () => {
  const workers = await startPool(good);
  await workers.ready();
  expect(workers.readyCount()).toBe(2);
  const identities = workers.pids().map((pid) => identify(pid));
  await workers.stop();
  expect(workers.pids()).toEqual([]);
  for (const each of identities) expect(each && isAlive(each)).toBe(false);
  expect(await readFile(join(folder, 'worker-1.log'), 'utf8')).toBe('finishing\n');
  expect(said).toEqual([]);
});

test('a worker that is killed is replaced, and it says so', async () => {
  const workers = await startPool(good);
  await workers.ready();
  const [victim, survivor] = workers.pids() as [number, number];
  process.kill(victim, 'SIGKILL');
  await untilChanged(workers, () => !workers.pids().includes(victim) && workers.readyCount() === 2);
  expect(workers.pids()).toContain(survivor);
  expect(workers.restarts()).toBe(1);
  expect(said).toEqual([`Worker 1 (process ${victim}) was ended by SIGKILL; starting another one in 0.02 s.`]);
});

test('without restarts it is not', async () => {
  const workers = await startPool(good, { restart: false });
  await workers.ready();
  const [victim] = workers.pids() as [number];
  process.kill(victim, 'SIGKILL');
  await untilChanged(workers, () => !workers.pids().includes(victim));
  expect(said).toEqual([`Worker 1 (process ${victim}) was ended by SIGKILL.`]);
  expect(workers.readyCount()).toBe(1);
});

test('a worker that never gets ready is given up, with the end of its log', async () => {
  const workers = await startPool(`console.error('no database'); process.exit(2);`, { count: 1 });
  await expect(workers.ready()).rejects.toThrow(/ended with status 2 before it was ready, 3 times in a row\. Its log .*no database/s);
  expect(workers.pids()).toEqual([]);
});

test('a worker that does not heed SIGTERM is ended after the limit', async () => {
  const workers = await startPool(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.send({ type: 'ready' });`, {
    stopTimeoutMs: 100,
  });
  await workers.ready();
  await workers.stop();
  expect(workers.pids()).toEqual([]);
  expect(said).toContain('Worker 1 did not end in time; ending it now.');
});

test('it grows and shrinks', async () => {
  const workers = await startPool(good, { count: 1 });
  await workers.scale(3);
  await workers.ready();
  expect(workers.pids()).toHaveLength(3);
  const [first] = workers.pids();
  await workers.scale(1);
  expect(workers.pids()).toEqual([first]);
});

test('stopping while workers start leaves none behind', async () => {
  const workers = await startPool(good);
  await workers.stop();
  expect(workers.pids()).toEqual([]);
});

test('the death of the parent ends the workers', async () => {
  const parent = join(folder, 'parent.mjs');
  await writeFile(join(folder, 'worker.cjs'), good);
  const source = `import { startWorkerPool } from './workers/pool.ts';
    const pool = startWorkerPool({ entry: process.argv[2], count: 2, logs: process.argv[3], nodeArgs: [] });
    await pool.ready();
    console.log(JSON.stringify(pool.pids()));`;
  await build({ stdin: { contents: source, resolveDir: process.cwd() }, bundle: true, platform: 'node', format: 'esm', outfile: parent });
  const child = spawn(process.execPath, [parent, join(folder, 'worker.cjs'), folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pids = JSON.parse(await firstLine(child.stdout)) as number[];
  const workers = pids.map((pid) => identify(pid));
  child.kill('SIGKILL');
  for (const worker of workers) expect(worker && (await waitUntilGone(worker, 10_000))).toBe(true);
});

async function firstLine(stream: Readable): Promise<string> {
  for await (const piece of stream) return String(piece);
  throw new Error('the process ended without a word');
}
