/** Several regions on this machine: each a cluster of its own, in a folder of its own, that knows the networks of the others. */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { readJsonFile, writeJsonFile } from '../local/json-file.ts';
import { REGION_PORTS } from '../regions/region-list.ts';
import { clusterDown, clusterUp, requireMachine, type UpOptions } from './cluster.ts';
import { type ClusterRecord, clusterSecrets, readCluster } from './cluster-file.ts';
import { chooseNetwork } from './network.ts';

const NAME = /^[a-z][a-z0-9]{0,15}$/;
const record = z.object({ regions: z.array(z.string()) });
const recordFile = (folder: string) => join(folder, 'regions.json');

/** Names of the regions in a folder, in the order given at the start; none where there is one cluster only, or nothing. */
export async function regionNames(folder: string): Promise<string[]> {
  return (await readJsonFile(recordFile(folder), record, { regions: [] })).regions;
}

/** Where a region's own cluster is. */
export function regionFolder(folder: string, region: string): string {
  return join(folder, region);
}

/**
 * Starts all regions. The first is the active one at the beginning.
 * @throws PermanentError `InvalidRegions`, `ClusterRuns`, and what `clusterUp` throws
 */
export async function regionsUp(names: readonly string[], options: Omit<UpOptions, 'region'>): Promise<Record<string, ClusterRecord>> {
  const folder = resolve(options.folder);
  if (names.length !== 2 || new Set(names).size !== 2 || !names.every((name) => NAME.test(name))) {
    throw new PermanentError('InvalidRegions', `--regions takes two different names of lower case letters and digits: --regions a,b`);
  }
  const known = await regionNames(folder);
  if ((known.length > 0 && known.join() !== names.join()) || (known.length === 0 && (await readCluster(folder)) !== null)) {
    const there = known.length > 0 ? `the regions ${known.join(' and ')}` : 'a cluster of one region';
    throw new PermanentError('ClusterRuns', `There is ${there} in ${folder}. Use it, or stop it and remove that folder.`);
  }
  const [first = ''] = names;
  const variables = names.map((name, nth) => ({
    ...{ REGION: name, REGION_NUMBER: String(nth + 1), PEER: names[1 - nth] ?? '', FIRST_REGION: first },
    TARGET: nth === 0 ? 'primary' : 'standby',
  }));
  // Once for both: they are on one machine.
  await requireMachine({ ...options, folder, region: { variables: variables[0] ?? {}, networks: {}, network: '' } });
  await writeJsonFile(recordFile(folder), { regions: names });
  const secrets = await clusterSecrets(folder);
  const networks: Record<string, string> = {};
  for (const name of names) {
    const before = (await readCluster(regionFolder(folder, name)))?.wanted.network;
    networks[name] = before ?? (await chooseNetwork(regionFolder(folder, name), Object.values(networks)));
  }
  const records = await Promise.all(
    names.map(async (name, nth): Promise<[string, ClusterRecord]> => {
      const own = regionFolder(folder, name);
      await writeJsonFile(join(own, 'secrets.json'), secrets);
      const onProgress = (message: string) => options.onProgress(`${name}: ${message}`);
      const region = { variables: variables[nth] ?? {}, networks, network: networks[name] ?? '' };
      return [name, await clusterUp({ ...options, folder: own, region, onProgress })];
    }),
  );
  return Object.fromEntries(records);
}

/** Stops all regions; returns whether there was anything. */
export async function regionsDown(folder: string, env: NodeJS.ProcessEnv, onProgress: (message: string) => void): Promise<boolean> {
  const names = await regionNames(folder);
  const stopped = await Promise.all(names.map((name) => clusterDown(regionFolder(folder, name), env, onProgress)));
  return stopped.some(Boolean);
}

/** What a client needs to use the regions, whichever is active. */
export async function regionsEnvironment(
  folder: string,
  records: Readonly<Record<string, ClusterRecord>>,
): Promise<Record<string, string>> {
  const { SLUICE_DB_PASSWORD, PATRONI_API_PASSWORD = '' } = await clusterSecrets(folder);
  const proxies = Object.entries(records).map(([name, { parts }]) => ({
    name,
    hosts: ['haproxy1', 'haproxy2'].map((proxy) => parts[proxy]?.address ?? '127.0.0.1'),
  }));
  const targets = proxies.flatMap(({ hosts }) => hosts.map((host) => `${host}:${REGION_PORTS.target}`));
  const [first] = proxies;
  const ui = Object.values(records)[0]?.parts['temporal-ui']?.address;
  return {
    SLUICE_REGIONS: proxies.map(({ name, hosts }) => `${name}=${hosts.join(',')}`).join(' '),
    SLUICE_PATRONI_PASSWORD: PATRONI_API_PASSWORD,
    SLUICE_DATABASE_URL: `postgres://etl:${SLUICE_DB_PASSWORD}@${targets.join(',')}/sluice?target_session_attrs=primary`,
    TEMPORAL_ADDRESS: `${first?.hosts[0]}:${REGION_PORTS.temporal}`,
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_UI_URL: `http://${ui}:8080`,
  };
}

/** What a name means that a person gives. */
export interface Named {
  /** Folder of its cluster. */
  readonly folder: string;
  /** Null where the whole region is meant. */
  readonly part: string | null;
}

/**
 * `pg1` in a cluster of one region; of several `a-pg1`, or `a` for all of it.
 * @throws PermanentError `UnknownPart`
 */
export async function named(folder: string, name: string): Promise<Named> {
  const regions = await regionNames(folder);
  if (regions.length === 0) return { folder, part: name };
  const region = regions.find((each) => name === each || name.startsWith(`${each}-`));
  if (region === undefined) {
    const parts = regions.map((each) => `${each}-pg1`).join(', ');
    throw new PermanentError(
      'UnknownPart',
      `There is no part "${name}". Parts are called ${parts} and so on; whole regions are called ${regions.join(', ')}.`,
    );
  }
  return { folder: regionFolder(folder, region), part: name === region ? null : name.slice(region.length + 1) };
}
