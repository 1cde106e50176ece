// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how Compose writes variables
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { type ComposeService, readComposeFiles, readEnvFile } from '../../../src/cluster/compose-file.ts';
import { placeParts, wantedServices } from '../../../src/cluster/parts.ts';
import { dataFolder } from '../../../src/cluster/postmaster.ts';
import { hasProgram } from '../../../src/cluster/programs.ts';

const ROOT = resolve(__dirname, '../../..');
const COMPOSE = join(ROOT, 'docker-compose.yml');
const REGION = join(ROOT, 'docker-compose.region.yml');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-compose-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function parsed(text: string, variables: Record<string, string> = {}): Promise<ComposeService[]> {
  const file = join(folder, 'docker-compose.yml');
  await writeFile(file, text);
  return await readComposeFiles([file], variables);
}

describe('the project’s own docker-compose.yml', () => {
  let services: ComposeService[];
  const of = (name: string) => services.find((service) => service.name === name) as ComposeService;
  beforeAll(async () => {
    services = await readComposeFiles([COMPOSE], await readEnvFile(join(ROOT, 'deploy/demo.env')));
  });

  test('has every part twice that anything depends on', () => {
    expect(services.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        ...['etcd1', 'etcd2', 'etcd3', 'pg1', 'pg2', 'haproxy1', 'haproxy2', 'temporal1', 'temporal2', 'worker1', 'worker2'],
        ...['temporal-ui', 'prometheus', 'alertmanager', 'grafana', 'temporal-schema', 'setup'],
      ]),
    );
  });

  test('is all run as processes, but for Grafana', () => {
    expect(services.filter((service) => !hasProgram(service)).map(({ name }) => name)).toEqual(['grafana']);
  });

  test('names files that exist, and waits for parts that exist', () => {
    const names = new Set(services.map(({ name }) => name));
    for (const { name, mounts, dependsOn } of services) {
      for (const { source } of mounts) if (source !== null) expect([name, source, existsSync(source)]).toEqual([name, source, true]);
      for (const other of Object.keys(dependsOn)) expect([name, other, names.has(other)]).toEqual([name, other, true]);
    }
  });

  test('pins every image', async () => {
    const images = [...(await readFile(COMPOSE, 'utf8')).matchAll(/^ +image: (.+)$/gm)].map(([, image = '']) => image);
    expect(images.length).toBeGreaterThan(8);
    for (const image of images) expect(image).toMatch(/:(v?\d+\.\d+[\w.-]*|local)$/);
  });

  test('knows what answers when a part is well', () => {
    expect(of('etcd1').health).toEqual({ port: 2379, path: '/health' });
    expect(of('pg1').health).toEqual({ port: 8008, path: '/health' });
    expect(of('temporal1').health).toEqual({ port: 7243, path: '/api/v1/system-info' });
    expect(of('haproxy1').health).toEqual({ port: 8404, path: '/health' });
    expect(of('worker1').health).toEqual({ port: 9465, path: '/health' });
  });

  test('puts the files of variables below those of the service itself', () => {
    expect(of('etcd2').environment).toMatchObject({ ETCD_NAME: 'etcd2', ETCD_INITIAL_CLUSTER_TOKEN: 'sluice' });
  });

  test('publishes ports on the loopback address only', async () => {
    const ports = [...(await readFile(COMPOSE, 'utf8')).matchAll(/ports: \[(.+)\]/g)].flatMap(([, list = '']) => list.split(', '));
    expect(ports.length).toBeGreaterThan(5);
    for (const port of ports) expect(port).toMatch(/^["']\$\{BIND:-127\.0\.0\.1\}:\d+:\d+["']$/);
  });

  test('has the pipelines where its workers are, so that the paths in them hold, and what they read', async () => {
    const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
    const cwd = [...dockerfile.matchAll(/^WORKDIR (.+)$/gm)].at(-1)?.[1];
    for (const worker of ['worker1', 'worker2']) {
      expect(of(worker).environment.SLUICE_PIPELINES).toBe(`${cwd}/pipelines`);
      expect(of(worker).mounts).toEqual([{ target: `${cwd}/pipelines`, source: join(ROOT, 'pipelines'), volume: null }]);
    }
    const pipelines = (await readdir(join(ROOT, 'pipelines'))).filter((name) => name.endsWith('.ts'));
    const texts = await Promise.all(pipelines.map((name) => readFile(join(ROOT, 'pipelines', name), 'utf8')));
    const files = texts.flatMap((text) => [...text.matchAll(/files: '(.+)'/g)].map(([, file = '']) => file));
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) {
      const [, folder = '', name = ''] = /^(.+)\/(.+)$/.exec(file) ?? [];
      // Mounted, or kept in the image.
      const isThere = file.startsWith('pipelines/') ? existsSync(join(ROOT, file)) : dockerfile.includes(`mv /tmp/${name} ${folder}/`);
      expect([file, isThere]).toEqual([file, true]);
    }
  });

  test('takes its passwords from .env, which goes into no commit and no image', async () => {
    for (const file of ['.gitignore', '.dockerignore']) expect((await readFile(join(ROOT, file), 'utf8')).split('\n')).toContain('.env');
    // With a file named by hand, every other command would have to name it too.
    for (const file of [
      'README.md',
      'docs/operations/cluster.md',
      'docs/operations/regions.md',
      'docker-compose.yml',
      'docker-compose.region.yml',
    ])
      expect(await readFile(join(ROOT, file), 'utf8')).not.toMatch(/--env-file/);
  });

  test('is packed together with the file that is laid over it', async () => {
    const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
    expect(files).toEqual(expect.arrayContaining(['docker-compose.yml', 'docker-compose.region.yml', 'deploy']));
  });

  test('is refused without passwords, naming the first that is missing', async () => {
    await expect(readComposeFiles([COMPOSE], {})).rejects.toMatchObject({
      code: 'InvalidCompose',
      message: expect.stringMatching(/^POSTGRES_PASSWORD is not set/),
    });
  });

  test.each([
    [1, ['worker1']],
    [2, ['worker1', 'worker2']],
    [5, ['worker1', 'worker2', 'worker3', 'worker4', 'worker5']],
  ])('%i workers: those of the file, in turn', async (workers, names) => {
    const wanted = {
      composeFiles: [COMPOSE],
      variables: {},
      regions: {},
      network: '127.70.1',
      profiles: [],
      workers,
      pipelines: '/p',
      cwd: '/',
    };
    const chosen = await wantedServices(folder, wanted);
    const found = chosen.filter(({ name }) => name.startsWith('worker'));
    expect(found.map(({ name }) => name)).toEqual(names);
    expect(found.map(({ environment }) => environment.TEMPORAL_ADDRESS)).toEqual(names.map((_, nth) => `haproxy${1 + (nth % 2)}:7233`));
    const parts = placeParts(folder, wanted, chosen);
    expect(new Set(parts.map(({ address }) => address)).size).toBe(parts.length);
    expect(parts.find(({ name }) => name === 'pg2')?.volumes).toEqual(new Map([['/var/lib/postgresql', join(folder, 'volumes', 'pg2')]]));
  });
});

test.each([
  ['$${HOME}', '${HOME}'],
  ['${A}', 'one'],
  ['x${A}y${B:-two}', 'xoneytwo'],
  ['${B}', ''],
  ['${B:-}', ''],
])('a variable: %s', async (text, value) => {
  const [service] = await parsed(`services: { a: { image: 'x:1', environment: { V: '${text}' } } }`, { A: 'one' });
  expect(service?.environment).toEqual({ V: value });
});

test('anchors and merged keys; a volume and a folder; an image with a registry', async () => {
  const [service] = await parsed(`
x-common: &common { restart: unless-stopped, stop_grace_period: 30s }
services:
  a:
    <<: *common
    image: quay.io:443/org/name:v1.2
    volumes: ['data:/var/lib/a', './deploy/a.yml:/etc/a.yml:ro']
    command: [run, --port, 80]`);
  expect(service).toMatchObject({
    ...{ image: 'quay.io:443/org/name', command: ['run', '--port', '80'], stopSeconds: 30, runsOnce: false },
    mounts: [
      { target: '/var/lib/a', source: null, volume: 'data' },
      { target: '/etc/a.yml', source: join(folder, 'deploy/a.yml'), volume: null },
    ],
  });
});

test('what makes no sense is named with its place', async () => {
  await expect(parsed('services: { a: { image: [1] } }')).rejects.toMatchObject({
    code: 'InvalidCompose',
    message: expect.stringMatching(/services\.a\.image/),
  });
});

describe('docker-compose.region.yml over docker-compose.yml', () => {
  const files = [COMPOSE, join(ROOT, 'docker-compose.region.yml')];
  const region = async (name: string) => await readComposeFiles(files, await readEnvFile(join(ROOT, `deploy/regions/${name}.env`)));

  test('the regions differ in name, number, peer and how the target begins', async () => {
    const [a, b] = await Promise.all(['a', 'b'].map(region));
    const environment = (services: ComposeService[] | undefined, name: string) =>
      services?.find((service) => service.name === name)?.environment;
    expect(environment(a, 'temporal1')).toMatchObject({ REGION: 'a', REGION_NUMBER: '1', NODE: 'temporal1:7233' });
    expect(environment(b, 'temporal1')).toMatchObject({ REGION: 'b', REGION_NUMBER: '2' });
    expect(environment(a, 'haproxy1')).toEqual({ PEER_1: 'b-haproxy1', PEER_2: 'b-haproxy2' });
    expect(environment(b, 'worker1')).toMatchObject({ SLUICE_REGION: 'b', TEMPORAL_ADDRESS: 'haproxy1:7233' });
    const begins = (services: ComposeService[] | undefined) =>
      services?.find(({ name }) => name === 'target')?.mounts.find(({ target }) => target.endsWith('3-begin.yml'))?.source;
    expect(begins(a)).toMatch(/target-primary\.yml$/);
    expect(begins(b)).toMatch(/target-standby\.yml$/);
  });

  test('every file is there, and nothing is without a program', async () => {
    const services = await region('a');
    for (const { name, mounts } of services)
      for (const { source } of mounts) if (source !== null) expect([name, source, existsSync(source)]).toEqual([name, source, true]);
    expect(services.filter((service) => !hasProgram(service)).map(({ name }) => name)).toEqual(['grafana']);
  });
});

test('the data of PostgreSQL is in its volume, and not in the one that its image declares and every new container gets anew', async () => {
  const { postgresql } = parse(await readFile(join(ROOT, 'deploy/patroni/patroni.yml'), 'utf8')) as { postgresql: { data_dir: string } };
  expect(dataFolder('/var/lib/postgresql')).toBe(postgresql.data_dir);
  // https://github.com/docker-library/postgres: VOLUME /var/lib/postgresql/data, up to PostgreSQL 17
  expect(`${postgresql.data_dir}/`).not.toMatch(/^\/var\/lib\/postgresql\/data\//);
  for (const file of [COMPOSE, REGION]) {
    const { services } = parse(await readFile(file, 'utf8'), { merge: true }) as { services: Record<string, { volumes?: string[] }> };
    const nodes = Object.values(services).filter(({ volumes = [] }) => volumes.some((volume) => volume.includes('patroni.yml')));
    expect(nodes.length).toBeGreaterThan(0);
    for (const { volumes } of nodes) expect(volumes).toContainEqual(expect.stringMatching(/^[a-z0-9]+:\/var\/lib\/postgresql$/));
  }
});
