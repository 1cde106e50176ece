import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { type ComposeService, readComposeFiles, readEnvFile } from '../../../src/cluster/compose-file.ts';
import { portsOf, requireOpenPorts } from '../../../src/cluster/ports.ts';
import { hasProgram } from '../../../src/cluster/programs.ts';

const ROOT = resolve(__dirname, '../../..');

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listenOn(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  open.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('a port that somebody has on all addresses is named, and who that is', async () => {
  const port = await listenOn('0.0.0.0');
  await expect(requireOpenPorts([port, 1])).rejects.toMatchObject({
    code: 'PortsTaken',
    message: expect.stringMatching(new RegExp(`\\n  ${port}  \\S+ \\(process ${process.pid}\\)\\n`)),
  });
});

test('what listens on one address is in nobody’s way', async () => {
  const port = await listenOn('127.0.0.1');
  await requireOpenPorts([port]);
});

describe.each([
  ['one cluster', ['docker-compose.yml'], 'deploy/demo.env', ['deploy/haproxy/haproxy.cfg']],
  [
    'a region',
    ['docker-compose.yml', 'docker-compose.region.yml'],
    'deploy/regions/a.env',
    ['deploy/haproxy/haproxy.cfg', 'deploy/haproxy/region.cfg'],
  ],
])('the ports of %s', (_, files, variables, proxies) => {
  let services: ComposeService[];
  beforeAll(async () => {
    const all = await readComposeFiles(
      files.map((file) => join(ROOT, file)),
      await readEnvFile(join(ROOT, variables)),
    );
    services = all.filter(hasProgram);
  });

  test('are all that its files listen on', async () => {
    const listened = /(?:0\.0\.0\.0:|(?:grpc|membership|http)Port: |^port: |\}\}:)(\d{4})/gm;
    const texts = await Promise.all(
      [
        ...proxies,
        'deploy/etcd/etcd.env',
        'deploy/patroni/patroni.yml',
        'deploy/temporal/server.yaml',
        'deploy/temporal-ui/sluice.yaml',
      ].map((file) => readFile(join(ROOT, file), 'utf8')),
    );
    const said = services.flatMap(({ command, environment }) => [...command, ...Object.values(environment)]);
    const ports = [...texts, ...said].flatMap((text) => [...text.matchAll(listened)].map(([, port]) => Number(port)));
    expect(portsOf(services)).toEqual([...new Set(ports)].sort((a, b) => a - b));
  });

  test('are those of Prometheus only where it is wanted', () => {
    expect(portsOf(services)).toContain(9090);
    expect(portsOf(services.filter(({ profiles }) => profiles.length === 0))).not.toContain(9090);
  });
});
