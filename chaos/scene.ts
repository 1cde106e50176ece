/** The cluster that the suite breaks: started by it, in a folder of its own, with proxies between the workers and everything else. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPOSE_FILE } from '../src/cluster/cluster.ts';
import { clusterSecrets } from '../src/cluster/cluster-file.ts';
import { chooseNetwork } from '../src/cluster/network.ts';
import { Supervisor } from '../src/cluster/supervisor.ts';
import { Database } from '../src/connectors/postgres/database.ts';
import { type ExpectedLoad, prepareData } from './data.ts';
import { FaultyProxy, type Place } from './proxy.ts';
import { makeSmallDisk, type SmallDisk } from './small-disk.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Scene {
  readonly folder: string;
  readonly supervisor: Supervisor;
  /** Between the workers and PostgreSQL. */
  readonly database: readonly FaultyProxy[];
  /** Between the workers and Temporal. */
  readonly temporal: readonly FaultyProxy[];
  /** The primary, wherever it is, as superuser; not through the proxies. */
  readonly admin: Database;
  /** Of the target, as its superuser: both servers, of which the one is wanted that takes writes. */
  readonly adminUrl: string;
  readonly source: Database;
  /** Where Temporal is reached, not through the proxies. */
  readonly addresses: readonly string[];
  readonly loads: readonly ExpectedLoad[];
  /** Null where this machine does not let us make one. */
  readonly smallDisk: SmallDisk | null;
  /** Workers' environment, for those that are started beside the cluster's own. */
  workerEnv(nth: number): Record<string, string>;
  stop(): Promise<void>;
}

export interface SceneOptions {
  readonly workers: number;
  readonly say: (message: string) => void;
}

export async function startScene({ workers, say }: SceneOptions): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-chaos-'));
  const wanted = {
    ...{ composeFiles: [COMPOSE_FILE], variables: {}, regions: {}, network: await chooseNetwork(folder), profiles: [], workers },
    ...{ pipelines: resolve(ROOT, 'chaos/pipelines'), cwd: ROOT },
  };
  const supervisor = await Supervisor.prepare({ folder, wanted, env: process.env, onProgress: say });
  const proxies: FaultyProxy[] = [];
  const smallDisk = await makeSmallDisk(join(folder, 'small-disk'));
  const stop = async () => {
    await Promise.all([source?.close(), admin?.close()]);
    await supervisor.stop();
    await smallDisk?.stop();
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let admin: Database | undefined;
  let source: Database | undefined;
  try {
    const place = (name: string, port: number): Place => ({ host: supervisor.part(name).address, port });
    const through = async (port: number) => {
      const made = await Promise.all(['haproxy1', 'haproxy2'].map((name) => FaultyProxy.start(place(name, port))));
      proxies.push(...made);
      return made;
    };
    const [database, temporal] = [await through(5432), await through(7233)];
    const secrets = await clusterSecrets(folder);
    const url = (user: string, password: string, places: readonly Place[], name: string) =>
      `postgres://${user}:${password}@${places.map(({ host, port }) => `${host}:${port}`).join(',')}/${name}`;
    const sluice = (places: readonly Place[], name: string) => url('etl', secrets.SLUICE_DB_PASSWORD ?? '', places, name);
    const files = join(folder, 'files');
    const workerEnv = (nth: number) => {
      // Neither of them is everybody's first.
      const ordered = nth % 2 === 0 ? database : [...database].reverse();
      const places = ordered.map((proxy) => proxy.place);
      const { host, port } = (temporal[nth % 2] as FaultyProxy).place;
      return {
        TEMPORAL_ADDRESS: `${host}:${port}`,
        SLUICE_DATABASE_URL: sluice(places, 'sluice'),
        SLUICE_CHAOS_SOURCE_URL: sluice(places, 'shop'),
        SLUICE_CHAOS_FILES: files,
        ...(smallDisk ? { SLUICE_CHAOS_SMALL_URL: smallDisk.url } : {}),
      };
    };
    for (let nth = 0; nth < workers; nth += 1) supervisor.setEnv(`worker${nth + 1}`, workerEnv(nth));

    say(`starting the cluster in ${folder}`);
    await mkdir(files, { recursive: true });
    await supervisor.start();
    const nodes = [place('pg1', 5432), place('pg2', 5432)];
    const primary = '?target_session_attrs=read-write';
    const maker = new Database('target', `${url('postgres', secrets.POSTGRES_PASSWORD ?? '', nodes, 'postgres')}${primary}`, { max: 1 });
    await maker.query('create database shop owner etl');
    await maker.close();
    say('preparing the data');
    const loads = await prepareData(sluice([place('haproxy1', 5432)], 'shop'), files);
    const adminUrl = `${url('postgres', secrets.POSTGRES_PASSWORD ?? '', nodes, 'sluice')}${primary}`;
    admin = new Database('target', adminUrl, { max: 4 });
    source = new Database('source', `${url('postgres', secrets.POSTGRES_PASSWORD ?? '', nodes, 'shop')}${primary}`, { max: 2 });
    const addresses = ['haproxy1', 'haproxy2'].map((name) => `${supervisor.part(name).address}:7233`);
    return { folder, supervisor, database, temporal, admin, adminUrl, source, addresses, loads, smallDisk, workerEnv, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
