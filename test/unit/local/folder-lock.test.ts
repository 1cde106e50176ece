import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { withFolderLock } from '../../../src/local/folder-lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('works under one lock never overlap', async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
  };
  await Promise.all(Array.from({ length: 8 }, () => withFolderLock(folder, work)));
  expect(most).toBe(1);
});

test('somebody who waits too long is told who has it', async () => {
  await withFolderLock(folder, async () => {
    const waiting = withFolderLock(folder, async () => {}, { timeoutMs: 100 });
    await expect(waiting).rejects.toThrow(`${folder} is in use by process ${process.pid}`);
  });
});

test('a failed work lets go of it', async () => {
  await expect(withFolderLock(folder, () => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');
  await expect(withFolderLock(folder, async () => 'mine', { timeoutMs: 1000 })).resolves.toBe('mine');
});

test('a holder that was killed holds nothing', async () => {
  const program = join(folder, 'holder.mjs');
  const source = `import { withFolderLock } from './src/local/folder-lock.ts';
    await withFolderLock(process.argv[2], async () => { console.log('mine'); await new Promise((r) => setTimeout(r, 60000)); });`;
  await build({ stdin: { contents: source, resolveDir: process.cwd() }, bundle: true, platform: 'node', format: 'esm', outfile: program });
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  const ended = once(child, 'exit');
  let waited = '';
  const next = withFolderLock(folder, async () => 'ours', {
    timeoutMs: 10_000,
    onWait: (holder) => {
      waited = holder;
      child.kill('SIGKILL');
    },
  });
  await expect(next).resolves.toBe('ours');
  await ended;
  expect(waited).toBe(`process ${child.pid}`);
});
