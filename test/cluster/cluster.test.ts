/** `sluice cluster`: started, used, broken and stopped by its commands, as a user does. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { PartStatus } from '../../src/cluster/status.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { seedFlights } from '../helpers/seed.ts';
import { query, temporaryFolder } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { CLI, writePipelines } from '../helpers/workers.ts';
import { dockerCompose } from './docker-compose.ts';

jest.setTimeout(300_000);

const run = promisify(execFile);
const ROOT = resolve(__dirname, '../..');
const ROWS = 60_000;

let folder: string;
let env: NodeJS.ProcessEnv;

async function sluice(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [CLI, ...args, '--json'], { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

async function refused(...args: string[]): Promise<{ code: number; error: { code: string; message: string } }> {
  try {
    await sluice(...args);
  } catch (failure) {
    const { code, stdout } = failure as { code: number; stdout: string };
    return { code, ...JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') };
  }
  throw new Error('it was not refused');
}

const parts = async () => (await sluice('cluster', 'status')).parts as PartStatus[];
const roleOf = async (role: string) => (await parts()).find((part) => part.role.startsWith(role))?.name;

beforeAll(async () => {
  folder = await temporaryFolder('cluster');
  await mkdir(join(folder, 'pipelines'), { recursive: true });
  env = { ...process.env };
  for (const name of Object.keys(env)) if (/^(TEMPORAL_|SLUICE_DATABASE)/.test(name)) delete env[name];
  await writePipelines(folder, {
    'copy.ts': `
      import { definePipeline, keyRange, postgres } from 'sluice';
      export default definePipeline({
        name: 'copy', chunk: { rows: 1_000 }, partitionBy: keyRange('id', 10_000),
        source: postgres({ table: 'departures' }),
        target: postgres({ table: 'copied', mode: 'upsert', key: ['id'], swap: 'never', replicated: 'wait' }),
      });`,
  });
  cleanups.push(async () => {
    await sluice('cluster', 'down');
  });
});

test('programs that are missing are named with the command that installs them, and nothing is started', async () => {
  const before = env;
  env = { ...before, PATH: '/nowhere', SLUICE_CACHE_DIR: join(folder, 'no-cache') };
  const { code, error } = await refused('cluster', 'up');
  env = before;
  expect(code).toBe(2);
  expect(error.code).toBe('MissingPrograms');
  expect(error.message).toMatch(/etcd +apt-get install etcd-server etcd-client/);
  // Where they are looked for, and under the name that they are looked for.
  expect(error.message).toMatch(
    /temporal-server +GOBIN=(\S*no-cache\S*) go install go\.temporal\.io\/server\/cmd\/server@v[\d.]+ && mv \1\/server \1\/temporal-server\n/,
  );
  expect(error.message).toMatch(/patroni +apt-get install .* && \S+python3 -m venv (\S*no-cache\S*) && \1\/bin\/pip install 'patroni/);
  expect(error.message).toMatch(/sluice cluster up --install/);
});

test('before there is a cluster, commands say how to start one', async () => {
  expect(await refused('cluster', 'status')).toMatchObject({ code: 2, error: { code: 'NoCluster' } });
  expect(await sluice('cluster', 'down')).toEqual({ stopped: false });
});

test('up, a run through the loss of the primary and of a worker, and down', async () => {
  // Given a cluster
  const up = (await sluice('cluster', 'up', '--workers', '3')) as { environment: Record<string, string> };
  env = { ...env, ...up.environment };
  const url = (up.environment.SLUICE_DATABASE_URL ?? '').replace(/@([^,]+),[^/]+/, '@$1');
  expect((await parts()).filter(({ state }) => state !== 'up').map(({ name, state }) => [name, state])).toEqual([
    ['temporal-schema', 'done'],
    ['setup', 'done'],
  ]);
  await until('the standby is synchronous', () => roleOf('synchronous standby'));
  expect((await parts()).filter(({ role }) => role === 'leader')).toHaveLength(1);
  // What is set up is left as it is.
  expect(await sluice('setup')).toMatchObject({ namespace: 'default', searchAttributes: true });

  // Given what alerts and the dashboard show is measured
  const prometheus = (await parts()).find(({ name }) => name === 'prometheus')?.address;
  await until('every metric is there', async () => {
    const response = await fetch(`http://${prometheus}:9090/api/v1/label/__name__/values`);
    const { data } = (await response.json()) as { data: string[] };
    const missing = metricNames().filter((name) => !data.includes(name));
    return missing.length === 0;
  });

  // When the primary and a worker are killed in the middle of a run
  await seedFlights(url, 'departures', ROWS);
  const { run: id } = (await sluice('run', 'copy', '--detach')) as { run: string };
  await until('it copies', async () => (await query(url, 'select from sluice.chunks')).length > 3);
  const primary = (await roleOf('primary')) ?? '';
  expect(((await sluice('cluster', 'kill', primary, '--only', 'postgres')) as { pids: number[] }).pids).toHaveLength(1);
  expect(((await sluice('cluster', 'kill', 'worker1')) as { pids: number[] }).pids).toHaveLength(1);

  // Then it ends by itself with exactly the right rows, on the standby
  const summary = await until(
    'it has ended',
    async () => {
      const shown = (await sluice('show', id).catch(() => null)) as { status?: string } | null;
      return shown?.status === 'succeeded' ? shown : null;
    },
    120_000,
  );
  expect(summary).toMatchObject({ status: 'succeeded' });
  expect(await contentOf(url, 'copied')).toEqual(await contentOf(url, 'departures'));
  await until('both are well again', async () => (await parts()).every(({ state }) => state === 'up' || state === 'done'), 120_000);
  expect(await roleOf('primary')).not.toBe(primary);

  // And what the pages of docs/operations call is called with what the parts know
  const { stdout: members } = await run(process.execPath, [CLI, 'cluster', 'exec', 'pg1', 'patronictl', 'list', '-f', 'json'], {
    cwd: folder,
    env,
  });
  expect((JSON.parse(members) as { Member: string }[]).map(({ Member }) => Member).sort()).toEqual(['pg1', 'pg2']);
  await expect(run(process.execPath, [CLI, 'cluster', 'exec', 'etcd1', 'sh', '-c', 'exit 7'], { cwd: folder, env })).rejects.toMatchObject({
    code: 1,
  });

  // And Prometheus looks at all workers
  const workers = (await parts()).filter(({ name }) => name.startsWith('worker')).map(({ address }) => `${address}:9464`);
  const asked = await fetch(`http://${prometheus}:9090/api/v1/query?query=${encodeURIComponent('up{job="worker"}')}`);
  const { data: watched } = (await asked.json()) as { data: { result: { metric: { instance: string } }[] } };
  expect(watched.result.map(({ metric }) => metric.instance).sort()).toEqual(workers.sort());

  // And a part that is held stays down until it is started
  await sluice('cluster', 'kill', 'haproxy2', '--hold');
  await until('it is down', async () => (await parts()).find(({ name }) => name === 'haproxy2')?.state === 'held');
  await sluice('cluster', 'start', 'haproxy2');
  await until('it is up', async () => (await parts()).find(({ name }) => name === 'haproxy2')?.state === 'up');
  expect(await refused('cluster', 'kill', 'nobody')).toMatchObject({ error: { code: 'UnknownPart' } });

  // And everything is stopped, and starts again with what it had
  expect(await sluice('cluster', 'down')).toEqual({ stopped: true });
  expect(processesOf(folder)).toEqual([]);
  await sluice('cluster', 'up', '--workers', '3');
  expect(await contentOf(url, 'copied')).toMatchObject({ rows: ROWS });
  expect(await sluice('show', id)).toMatchObject({ status: 'succeeded' });

  // And where the supervisor is killed, what it has started goes on, and is taken over by the next one
  const pids = async () => (await parts()).map(({ name, pid }) => [name, pid]);
  const before = await pids();
  await killSupervisor();
  expect(await sluice('cluster', 'status')).toMatchObject({ supervised: false });
  await sluice('cluster', 'up', '--workers', '3');
  expect(await sluice('cluster', 'status')).toMatchObject({ supervised: true });
  expect(await pids()).toEqual(before);
  expect(((await sluice('cluster', 'logs', 'worker1')) as { lines: string[] }).lines.join('\n')).toContain('worker ready');
  expect(((await sluice('cluster', 'logs', 'supervisor')) as { lines: string[] }).lines.join('\n')).toContain('it is started again in');

  // And what a killed supervisor left is stopped as well
  await killSupervisor();
  expect(await sluice('cluster', 'down')).toEqual({ stopped: true });
  expect(processesOf(folder)).toEqual([]);
});

async function killSupervisor(): Promise<void> {
  const record = JSON.parse(readFileSync(join(folder, '.sluice/cluster/cluster.json'), 'utf8')) as { supervisor: { pid: number } };
  process.kill(record.supervisor.pid, 'SIGKILL');
  await until('it is gone', async () => !(await sluice('cluster', 'status')).supervised);
}

/** Of the alerts and the dashboard. */
function metricNames(): string[] {
  const files = ['deploy/prometheus/rules.yml', 'deploy/grafana/dashboards/cluster.json'].map((file) =>
    readFileSync(join(ROOT, file), 'utf8'),
  );
  const names = files.flatMap((text) => text.match(/\b(patroni|haproxy|etcd|persistence|approximate|service)_[a-z_]+(?=[[{) ]| =)/g) ?? []);
  const labels = ['service_name'];
  return [...new Set([...names, 'up'])].filter((name) => !labels.includes(name));
}

/** Processes that have the folder in their command line or environment. */
function processesOf(where: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const said = readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1');
      return said.includes(`${where}/.sluice`) ? [`${pid} ${readFileSync(`/proc/${pid}/comm`, 'latin1').trim()}`] : [];
    } catch {
      return []; // gone meanwhile
    }
  });
}

describe('the files of deploy/', () => {
  test.each([
    ['HAProxy', 'haproxy', ['-c', '-f', 'deploy/haproxy/haproxy.cfg']],
    ['Prometheus', 'promtool', ['check', 'rules', 'deploy/prometheus/rules.yml']],
    ['Prometheus, trying them,', 'promtool', ['test', 'rules', 'test/cluster/rules.test.yml']],
    ['Alertmanager', 'amtool', ['check-config', 'deploy/alertmanager/alertmanager.yml']],
  ])('%s finds nothing wrong', async (_name, command, args) => {
    await run(command, args, { cwd: ROOT });
  });

  test('Compose finds nothing wrong with the demonstration’s passwords, and refuses to go without any', async () => {
    const compose = await dockerCompose();
    await run(compose, ['--env-file', 'deploy/demo.env', 'config', '-q'], { cwd: ROOT });
    const { stdout } = await run(compose, ['--env-file', 'deploy/demo.env', 'config', '--services'], { cwd: ROOT });
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['pg1', 'worker2', 'prometheus', 'grafana']));
    await expect(
      run(compose, ['--env-file', '/dev/null', 'config', '-q'], { cwd: ROOT, env: { PATH: process.env.PATH } }),
    ).rejects.toMatchObject({
      stderr: expect.stringMatching(/required variable \w+_PASSWORD is missing a value/),
    });
  });
});
