import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { BenchResult, CaseResult } from '../../bench/results.ts';
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

/** A quick bench that writes its figures into a folder. */
async function quickBench(...args: string[]) {
  const out = await temporaryFolder('bench-out');
  const { ended, folder } = await startBench('--quick', '--json', '--out', out, ...args);
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as BenchResult;
  const written = async (name: string) => await readFile(join(out, name), 'utf8');
  return { result, stdout, folder, out, written };
}

const aNumber = expect.any(Number);
const SIDE = {
  ...{ seconds: aNumber, rowsPerSecond: aNumber, cpuSeconds: aNumber, serverCpuSeconds: aNumber },
  ...{ peakBytesPerProcess: expect.any(Array), all: [aNumber] },
};

test('the bench measures both sides of each case, with the same content, writes the figures, and leaves nothing behind', async () => {
  const { result, stdout, folder, written } = await quickBench('--suite', 'cases');

  expect(result.cases.map((each) => each.case)).toEqual([
    'flights, Parquet, into an empty table',
    'flights, Parquet, replacing all months',
    'flights, Parquet, again unchanged',
    'orders, first load',
    'orders, first load, row schema',
    'orders, first load, row function',
    'orders, first load, SQL transform',
    'orders, upsert into an equal table',
    'orders, upsert with 1 % changed',
    'orders, upsert into an empty table',
    'orders, append',
    'orders, CSV, first load',
    'orders, CSV, first load, row schema',
    'orders, CSV, append',
    'orders, CSV, append by chunk',
    'orders, JSONL, first load',
    'orders, JSONL, first load, row schema',
    'orders, Parquet, first load',
    'orders, Parquet, first load, row schema',
  ]);
  for (const each of [...result.cases, result.overhead]) {
    expect(each).toMatchObject({ ours: SIDE, limit: SIDE, spans: { planRun: aNumber, finishRun: aNumber } });
    // The bench itself compares both sides; this is what they agreed on.
    expect(each?.content).toMatchObject({ rows: aNumber, checksum: expect.stringMatching(/^-?\d+$/) });
    expect(each?.ours.peakBytesPerProcess).toHaveLength(result.workers);
    expect(each?.ratio).toBeCloseTo((each?.ours.seconds ?? 0) / (each?.limit.seconds ?? 1));
  }
  expect(result.overhead?.rows).toBe(1);
  expect(stdout).toContain('by hand');
  expect(await readdir(folder)).toEqual([]);

  const results = JSON.parse(await written('results.json')) as CaseResult[];
  expect(results).toEqual(result.cases);
  const side = { seconds: aNumber, rowsPerSecond: aNumber, cpuSeconds: aNumber, peakBytes: aNumber };
  for (const each of results) {
    expect(each).toMatchObject({ case: expect.any(String), rows: aNumber, ratio: aNumber, peers: { dlt: null, pgloader: null } });
    expect(each.ours).toMatchObject(side);
    expect(each.limit).toMatchObject({ ...side, peakBytes: each.limit.peakBytes });
  }
  const page = await written('performance.md');
  const table = page.slice(page.indexOf('<!-- bench:cases -->'), page.indexOf('<!-- /bench:cases -->'));
  for (const each of results) expect(table).toContain(`| ${each.case} `);
  expect(table).toContain('orders, first load, row function: rows a CPU second of the workers');
}, 300_000);

test('the bench measures growth, scaling, proof and orchestration, and how fast another worker takes over', async () => {
  const only = ['--only', 'into an empty table', '--kills', '1'];
  const [{ result, written, out }, takeover] = await Promise.all([
    quickBench('--suite', 'growth', 'scaling', 'verification', 'orchestration'),
    quickBench('--suite', 'cases', ...only),
  ]);

  expect(result.growth.map(({ case: name, rows }) => `${name}: ${rows}`)).toEqual([
    'orders, first load: 5000',
    'orders, upsert into an equal table: 5000',
    'orders, CSV, first load, row schema: 5000',
    'orders, Parquet, first load: 5000',
    'orders, first load: 10000',
    'orders, upsert into an equal table: 10000',
    'orders, CSV, first load, row schema: 10000',
    'orders, Parquet, first load: 10000',
  ]);
  expect(result.scaling.map((each) => each.case)).toEqual([
    'orders, first load, costly row function',
    'orders, first load, row function',
    'orders, CSV, first load, row schema',
  ]);
  for (const { one, two, speedUp } of result.scaling) {
    expect(one.peakBytesPerProcess).toHaveLength(1);
    expect(two.peakBytesPerProcess).toHaveLength(2);
    expect(speedUp).toBeCloseTo(one.seconds / two.seconds);
  }
  expect(result.verification.map((each) => each.case)).toHaveLength(7);
  for (const { load, verification, share } of result.verification) expect(share).toBeCloseTo(verification.seconds / load.seconds);
  const { orchestration } = result;
  expect(orchestration).toMatchObject({ furtherPartitions: 20, steady: { partitions: 40 } });
  expect(orchestration?.firstChunkSeconds).toBeGreaterThan(0);
  expect(orchestration?.firstChunkSeconds).toBeLessThan(orchestration?.onePartitionSeconds ?? 0);
  expect(orchestration?.devReadySeconds).toBeGreaterThan(0);
  expect(await readdir(out)).toEqual(['figures.json', 'performance.md']);
  expect(Object.keys(JSON.parse(await written('figures.json'))).sort()).toEqual(['growth', 'orchestration', 'scaling', 'verification']);

  expect(takeover.result.takeover).toMatchObject({ kills: 1, all: [takeover.result.takeover?.seconds] });
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
