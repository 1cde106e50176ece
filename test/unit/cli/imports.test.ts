/** A command loads what it needs, and not what the others need: the SDK of Temporal, database drivers and compilers take long to load. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(__dirname, '../../../dist/src/cli/main.js');

/** Says each module that is loaded. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  register('data:text/javascript,' + encodeURIComponent(\`
    export async function load(url, context, next) {
      process._rawDebug('loaded ' + url);
      return next(url, context);
    }\`));`)}`;

function packagesLoadedBy(...args: string[]): Set<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'sluice-imports-'));
  try {
    const { stderr } = spawnSync(process.execPath, ['--import', HOOK, MAIN, ...args], {
      cwd,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    });
    return new Set([...stderr.matchAll(/^loaded file:.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/gm)].map(([, name = '']) => name));
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

test.each([
  [['--help'], ['commander']],
  [['no-such-command'], ['commander']],
  [['run'], ['commander']],
])('%j loads %j', (args, packages) => {
  expect([...packagesLoadedBy(...args)].sort()).toEqual(packages);
});

test.each([
  [['list'], ['@temporalio/worker', '@temporalio/core-bridge', '@duckdb/node-api', 'esbuild', 'pg']],
  [['pipelines'], ['@temporalio/client', '@temporalio/worker', '@duckdb/node-api']],
  [['init'], ['@temporalio/client', '@temporalio/worker', '@duckdb/node-api']],
])('%j does without %j', (args, packages) => {
  const loaded = packagesLoadedBy(...args);
  expect(loaded).toContain('commander');
  expect(packages.filter((name) => loaded.has(name))).toEqual([]);
});
