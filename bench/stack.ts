/** Servers and workers of the bench's own: in a temporary folder, on free ports, with the settings that `sluice dev` uses. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../src/client/connect.ts';
import type { SluiceClient } from '../src/client/sluice-client.ts';
import { startPostgresServer } from '../src/local/postgres-server.ts';
import { findTemporalBinary } from '../src/local/temporal-binary.ts';
import { startTemporalServer } from '../src/local/temporal-server.ts';
import { startWorkerPool, type WorkerPool } from '../workers/pool.ts';
import type { Cleanups } from './cleanups.ts';
import { databaseOf, execute } from './database.ts';

/** This repository; the bench runs from `dist/bench`. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The program `sluice`. */
export const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const WORKER = fileURLToPath(new URL('../workers/worker.js', import.meta.url));

export interface BenchStack {
  readonly folder: string;
  /** Two databases of one server. */
  readonly source: string;
  readonly target: string;
  readonly sluice: SluiceClient;
  /** Process ids. */
  readonly postgres: number;
  readonly temporal: number;
  /** Where the pipelines expect the orders as files. */
  readonly files: string;
  /** Environment of workers and of the command line. */
  readonly env: NodeJS.ProcessEnv;
  /** Fresh worker processes, in place of those before. */
  freshWorkers(count: number): Promise<WorkerPool>;
}

export async function startBenchStack(cleanups: Cleanups, say: (message: string) => void): Promise<BenchStack> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  await chmod(folder, 0o755); // PostgreSQL may run as another user
  cleanups.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const binary = await findTemporalBinary({ onProgress: say });
  const [temporal, postgres] = await Promise.all([
    startTemporalServer({ binary: binary.path, logFile: join(folder, 'temporal.log'), dbFile: join(folder, 'temporal.db') }).then(
      (server) => {
        cleanups.add(server.stop);
        return server;
      },
    ),
    startPostgresServer({ folder: join(folder, 'postgres'), database: 'target' }).then((server) => {
      cleanups.add(() => server.stop('immediate'));
      return server;
    }),
  ]);
  await execute(postgres.url, 'create database source');
  const source = databaseOf(postgres.url, 'source');
  // The user's own Temporal, its keys and profiles are not meant.
  const outside = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));
  const sluice = await connect({ address: temporal.address, namespace: temporal.namespace, timeoutMs: 30_000, env: outside });
  cleanups.add(() => sluice.close());

  const files = join(folder, 'files');
  const env = {
    ...outside,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    SLUICE_TASK_QUEUE: sluice.settings.taskQueue,
    SLUICE_DATABASE_URL: postgres.url,
    SLUICE_BENCH_SOURCE_URL: source,
    SLUICE_BENCH_FILES: files,
    SLUICE_PIPELINES: join(ROOT, 'bench/pipelines'),
    SLUICE_FAULTS: '',
    TMPDIR: folder, // a killed worker leaves its temporary files
  };
  let pool: WorkerPool | null = null;
  cleanups.add(async () => pool?.kill());
  const freshWorkers = async (count: number) => {
    await pool?.stop();
    pool = startWorkerPool({ entry: WORKER, count, logs: folder, nodeArgs: [], env });
    await pool.ready();
    return pool;
  };
  return {
    ...{ folder, files, env, source, target: postgres.url, sluice, freshWorkers },
    ...{ postgres: postgres.process.pid, temporal: temporal.process.pid },
  };
}
