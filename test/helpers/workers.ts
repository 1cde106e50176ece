/** Real worker processes, to be killed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { cleanups } from './cleanup.ts';
import { sharedTemporalAddress, temporaryFolder } from './servers.ts';
import { until } from './wait.ts';

const run = promisify(execFile);
const ROOT = resolve(__dirname, '../..');
export const WORKER = join(ROOT, 'dist/workers/worker.js');
export const CLI = join(ROOT, 'dist/src/cli/main.js');
export const FLIGHTS = join(ROOT, 'node_modules/vega-datasets/data/flights-3m.parquet');

/** Pipeline modules in a folder of a user. */
export async function writePipelines(folder: string, modules: Record<string, string>): Promise<void> {
  await mkdir(join(folder, 'pipelines'), { recursive: true });
  for (const [file, text] of Object.entries(modules)) await writeFile(join(folder, 'pipelines', file), text);
}

/** A user's project: a folder with pipelines in it, and a task queue of its own. */
export interface Project {
  readonly folder: string;
  readonly taskQueue: string;
  readonly env: NodeJS.ProcessEnv;
  /** Writes (or rewrites) a pipeline module. */
  write(file: string, text: string): Promise<void>;
}

let projects = 0;

export async function project(
  name: string,
  databaseUrl: string,
  options: { address?: string; env?: Record<string, string> } = {},
): Promise<Project> {
  const folder = await temporaryFolder(name);
  await Promise.all([writePipelines(folder, {}), mkdir(join(folder, 'fired'))]);
  const taskQueue = `${name}-${process.pid}-${Date.now().toString(36)}-${++projects}`;
  return {
    folder,
    taskQueue,
    env: {
      ...process.env,
      TEMPORAL_ADDRESS: options.address ?? sharedTemporalAddress(),
      TEMPORAL_NAMESPACE: 'default',
      SLUICE_TASK_QUEUE: taskQueue,
      SLUICE_DATABASE_URL: databaseUrl,
      SLUICE_FAULTS_FIRED: join(folder, 'fired'),
      ...options.env,
    },
    write: (file, text) => writeFile(join(folder, 'pipelines', file), text),
  };
}

export interface TestWorker {
  readonly pid: number;
  readonly child: ChildProcess;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process has ended, with its exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  log(): Promise<string>;
}

let workers = 0;

/**
 * Starts a worker process and waits until it takes work. `faults` as in src/activities/fault-points.ts: each hits one worker of the
 * project.
 */
export async function startWorker(
  of: Project,
  options: { faults?: string; env?: Record<string, string>; ready?: boolean } = {},
): Promise<TestWorker> {
  workers += 1;
  const logFile = join(of.folder, `worker-${workers}.log`);
  const log = createWriteStream(logFile);
  const child = spawn(process.execPath, [WORKER], {
    cwd: of.folder,
    env: { ...of.env, ...options.env, ...(options.faults ? { SLUICE_FAULTS: options.faults } : {}) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.stdout?.pipe(log);
  child.stderr?.pipe(log);
  const ended = new Promise<number | NodeJS.Signals | null>((done) => child.once('exit', (code, signal) => done(signal ?? code)));
  let over = false;
  ended.then(() => {
    over = true;
  });
  const worker: TestWorker = {
    pid: child.pid ?? 0,
    child,
    kill: (signal) => {
      child.kill(signal);
    },
    ended,
    log: () => readFile(logFile, 'utf8'),
  };
  cleanups.push(async () => {
    if (over) return;
    child.kill('SIGKILL');
    await ended;
  });
  if (options.ready ?? true) {
    let ready = false;
    child.on('message', (message) => {
      if ((message as { type?: string }).type === 'ready') ready = true;
    });
    await until(`worker ${child.pid} is ready`, async () => {
      if (over) throw new Error(`it ended: ${await worker.log()}`);
      return ready;
    });
  }
  return worker;
}

/** Waits until a fault has fired, and gives the id of the process that it hit. */
export async function fired(of: Project, fault: string, limitMs = 60_000): Promise<number> {
  const read = async () => Number(await readFile(join(of.folder, 'fired', fault), 'utf8'));
  return await until(`fault ${fault} has fired`, read, limitMs);
}

/** Waits until a fault has stopped a worker (SIGSTOP), and gives it. */
export async function stoppedBy(of: Project, fault: string, among: readonly TestWorker[]): Promise<TestWorker> {
  const pid = await fired(of, fault);
  await until(`worker ${pid} is stopped`, async () => /^T/.test((await run('ps', ['-o', 'stat=', '-p', String(pid)])).stdout));
  const worker = among.find((each) => each.pid === pid);
  if (!worker) throw new Error(`fault ${fault} hit process ${pid}, which is not one of these workers`);
  return worker;
}
