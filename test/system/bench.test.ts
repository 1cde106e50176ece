import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { BenchResult } from '../../bench/results.ts';
import { temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';

const ROOT = resolve(__dirname, '../..');

/** The bench with a folder for temporary files of its own, so that what it leaves behind shows. */
async function startBench(...args: string[]) {
  const folder = await temporaryFolder('bench');
  const child = spawn(process.execPath, [join(ROOT, 'dist/bench/main.js'), ...args], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const ended = once(child, 'exit').then(async ([code]) => {
    const [stdout, stderr] = await output;
    return { code: code as number | null, stdout, stderr };
  });
  return { child, folder, ended };
}

test('the bench measures both sides of each case, with the same content, and leaves nothing behind', async () => {
  const { ended, folder } = await startBench('--quick', '--json');
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as BenchResult;

  expect(result.cases.map((each) => each.case)).toEqual([
    'flights, Parquet, into an empty table',
    'flights, Parquet, replacing all months',
    'flights, Parquet, again unchanged',
    'orders, upsert into an empty table',
    'orders, upsert into an equal table',
    'orders, upsert with 1 % changed',
    'orders, append',
  ]);
  const side = {
    seconds: expect.any(Number),
    rowsPerSecond: expect.any(Number),
    cpuSeconds: expect.any(Number),
    serverCpuSeconds: expect.any(Number),
    peakBytesPerProcess: expect.any(Array),
    all: [expect.any(Number)],
  };
  for (const each of [...result.cases, result.overhead]) {
    expect(each).toMatchObject({ ours: side, limit: side, spans: { planRun: expect.any(Number), commitUnit: expect.any(Number) } });
    // The bench itself compares both sides; this is what they agreed on.
    expect(each?.content).toEqual({ rows: each?.rows, checksum: expect.stringMatching(/^-?\d+$/) });
    expect(each?.ours.peakBytesPerProcess).toHaveLength(result.workers);
    expect(each?.ratio).toBeCloseTo((each?.ours.seconds ?? 0) / (each?.limit.seconds ?? 1));
  }
  expect(result.overhead?.rows).toBe(1);
  expect(result.takeover).toMatchObject({ kills: 1, all: [result.takeover?.seconds] });
  expect(stdout).toContain('by hand');
  expect(await readdir(folder)).toEqual([]);
}, 300_000);

test('Ctrl-C stops what the bench has started', async () => {
  const { child, ended, folder } = await startBench('--quick');
  await until('PostgreSQL runs', async () => {
    const [made = ''] = await readdir(folder);
    return existsSync(join(folder, made, 'postgres/data/postmaster.pid'));
  });
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  expect({ code, stderr }).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
  expect(await readdir(folder)).toEqual([]);
});
