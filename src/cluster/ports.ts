/** The ports of the parts, and who else has them. A program that listens on all addresses leaves none of 127.0.0.0/8 free. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { PermanentError } from '../errors.ts';
import { whyNotListen } from '../local/free-port.ts';
import { REGION_PORTS } from '../regions/region-list.ts';
import type { ComposeService } from './compose-file.ts';

/** By image: what docker-compose.yml and the files of deploy/ say. */
const PORTS: Readonly<Record<string, readonly number[]>> = {
  'quay.io/coreos/etcd': [2379, 2380],
  'sluice-postgres': [5432, 8008],
  haproxy: [5432, 7233, 8404],
  'temporalio/server': [6933, 6934, 6935, 6939, 7233, 7234, 7235, 7239, 7243, 8000],
  'temporalio/ui': [8080],
  sluice: [9464, 9465],
  'prom/prometheus': [9090],
  'prom/alertmanager': [9093],
};
/** Of HAProxy with region.cfg: for clients, and for the other region. */
const PORTS_OF_REGION = [...Object.values(REGION_PORTS), 5453, 7253];

/** No part has this address. */
const PROBE = '127.64.0.9';

/** What the parts listen on, in ascending order. */
export function portsOf(services: readonly ComposeService[]): number[] {
  const ports = services.flatMap(({ image, environment }) => [
    ...(PORTS[image] ?? []),
    ...(image === 'haproxy' && 'PEER_1' in environment ? PORTS_OF_REGION : []),
  ]);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** @throws PermanentError `PortsTaken` naming those that somebody has on all addresses, and who that is */
export async function requireOpenPorts(ports: readonly number[]): Promise<void> {
  const sockets = (await listeningSockets()).filter(({ port }) => ports.includes(port));
  const taken = new Set<number>();
  // One of IPv6 may be for IPv6 only.
  for (const { port } of sockets) if ((await whyNotListen(PROBE, port)) === 'EADDRINUSE') taken.add(port);
  if (taken.size === 0) return;
  const owners = await ownersOf(sockets);
  const lines = [...taken].map((port) => {
    const inodes = sockets.filter((socket) => socket.port === port).map(({ inode }) => inode);
    return `  ${port}  ${inodes.map((inode) => owners.get(inode)).find(Boolean) ?? 'a process of another user'}`;
  });
  throw new PermanentError(
    'PortsTaken',
    `Parts of the cluster need these ports, and others listen there on all addresses:\n${lines.join('\n')}\n` +
      'Stop those programs (a service that apt-get has started: systemctl disable --now NAME). Without Prometheus and Alertmanager: --no-observability.',
  );
}

interface Socket {
  readonly port: number;
  readonly inode: string;
}

const LISTENING = '0A';

/** Those that listen on all addresses: https://docs.kernel.org/networking/proc_net_tcp.html */
async function listeningSockets(): Promise<Socket[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')));
  return tables
    .flatMap((table) => table.trim().split('\n'))
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      return state === LISTENING && /^0+$/.test(address) ? [{ port: Number.parseInt(port, 16), inode }] : [];
    });
}

/** `prometheus (process 812)`, by inode, as far as this user may know. */
async function ownersOf(sockets: readonly Socket[]): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = new Set(await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))));
    const own = sockets.filter(({ inode }) => links.has(`socket:[${inode}]`));
    if (own.length === 0) continue;
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    for (const { inode } of own) owners.set(inode, `${name} (process ${pid})`);
  }
  return owners;
}
