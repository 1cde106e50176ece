/** What a cluster is asked for without one that runs. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { clusterEnvironment, clusterUp, requireLog } from '../../../src/cluster/cluster.ts';
import { type ClusterRecord, type PartRecord, type WantedCluster, writeCluster } from '../../../src/cluster/cluster-file.ts';
import { partEnvironment, placeParts, wantedServices, whereabouts } from '../../../src/cluster/parts.ts';

const wanted: WantedCluster = {
  composeFiles: [resolve(__dirname, '../../../docker-compose.yml')],
  variables: {},
  network: '127.70.1',
  regions: {},
  profiles: [],
  workers: 2,
  pipelines: '/home/me/pipelines',
  cwd: '/home/me',
};
const part = (address: string): PartRecord => ({ address, state: 'up', process: null, since: null, restarts: 0, problem: null });

let folder: string;
let record: ClusterRecord;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cluster-'));
  record = { wanted, supervisor: null, parts: { haproxy1: part('127.70.1.15'), haproxy2: part('127.70.1.16') } };
  await writeCluster(folder, record);
});
afterEach(() => rm(folder, { recursive: true }));

test('a folder of pipelines that is not there is said before anything is looked for or installed', async () => {
  const options = { folder, workers: 1, pipelines: join(folder, 'nowhere'), observability: true, install: true, onProgress: () => {} };
  await expect(clusterUp({ ...options, env: { PATH: '/nowhere', SLUICE_CACHE_DIR: join(folder, 'no-cache') } })).rejects.toMatchObject({
    code: 'MissingPipelines',
  });
});

test('there is a log of each part, and of what starts them', async () => {
  expect(await requireLog(folder, 'haproxy1')).toBe(join(folder, 'logs/haproxy1.log'));
  expect(await requireLog(folder, 'supervisor')).toBe(join(folder, 'logs/supervisor.log'));
  await expect(requireLog(folder, 'nobody')).rejects.toMatchObject({ code: 'UnknownPart' });
  await expect(requireLog(join(folder, 'elsewhere'), 'supervisor')).rejects.toMatchObject({ code: 'NoCluster' });
});

test('the address of Temporal is that of a proxy which answers', async () => {
  expect(await clusterEnvironment(folder, record)).toMatchObject({ TEMPORAL_ADDRESS: '127.70.1.15:7233' });
  const second = createServer((_, response) => response.end('ok')).listen(8404, '127.70.1.16');
  await once(second, 'listening');
  try {
    const environment = await clusterEnvironment(folder, record);
    expect(environment.TEMPORAL_ADDRESS).toBe('127.70.1.16:7233');
    expect(environment.SLUICE_DATABASE_URL).toMatch(/@127\.70\.1\.15:5432,127\.70\.1\.16:5432\/sluice$/);
  } finally {
    second.close();
  }
});

test('a part sees the cluster as it is on this machine', async () => {
  const parts = placeParts(folder, wanted, await wantedServices(folder, wanted));
  const program = { command: [], path: ['/cache/patroni/bin'], unprivileged: false, own: false };
  const of = (name: string) => {
    const found = parts.find((each) => each.name === name);
    if (!found) throw new Error(`no ${name}`);
    return partEnvironment(found, { ...whereabouts(folder, wanted, parts), program, env: { PATH: '/usr/bin' } });
  };
  expect(of('pg1')).toMatchObject({
    PATH: '/cache/patroni/bin:/usr/bin',
    PATRONICTL_CONFIG_FILE: join(folder, 'rendered/pg1/patroni.yml'),
  });
  expect(of('etcd2').ETCDCTL_ENDPOINTS).toBe('http://127.70.1.10:2379,http://127.70.1.11:2379,http://127.70.1.12:2379');
  expect(of('worker1').SLUICE_PIPELINES).toBe('/home/me/pipelines');
});
