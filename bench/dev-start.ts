/** How long `sluice dev` takes until it is ready. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../src/local/cache-folder.ts';
import { CLI } from './stack.ts';

/** What it says when it is up. */
const READY = /^Up: Temporal /m;
const PATIENCE_MS = 120_000;

const PIPELINE = `import { definePipeline, parquet, postgres } from 'sluice';
export default definePipeline({ name: 'one', source: parquet({ files: 'one.parquet' }), target: postgres({ table: 'one', mode: 'append' }) });
`;

/** Seconds of each start, in a home of its own; where they are to be `warm`, one start has been before. */
export async function measureDevStart(folder: string, repeats: number, warm: boolean): Promise<number[]> {
  const home = await mkdtemp(join(folder, 'dev-'));
  try {
    await mkdir(join(home, 'pipelines'));
    await writeFile(join(home, 'pipelines/one.ts'), PIPELINE);
    if (warm) await startOnce(home);
    const all: number[] = [];
    while (all.length < repeats) all.push(await startOnce(home));
    return all;
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function startOnce(home: string): Promise<number> {
  const named = /^(TEMPORAL_|SLUICE_)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !named.test(name)));
  const began = performance.now();
  const child = spawn(process.execPath, [CLI, 'dev'], {
    cwd: home,
    env: { ...env, HOME: home, SLUICE_CACHE_DIR: cacheFolder() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  try {
    await says(child, READY);
    return (performance.now() - began) / 1000;
  } finally {
    child.kill('SIGINT');
    await ended;
  }
}

async function says(child: ChildProcess, wanted: RegExp): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const patience = setTimeout(() => reject(new Error(`sluice dev is not ready after ${PATIENCE_MS / 1000} s: ${said}`)), PATIENCE_MS);
    const hear = (piece: Buffer) => {
      said += piece;
      if (wanted.test(said)) resolve();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', (code) => reject(new Error(`sluice dev ended with ${code}: ${said}`)));
    child.once('exit', () => clearTimeout(patience));
  });
}
