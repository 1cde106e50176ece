/** What a cluster is to be, and what of it runs: `cluster.json` in its folder, and its passwords beside it. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { readJsonFile, writeJsonFile } from '../local/json-file.ts';

const identity = z.object({ pid: z.int().positive(), started: z.string() });

/**
 * starting, and up: it answers. restarting: it ended, and is started again. held: it was killed on purpose, and is left so. done: it runs once,
 * and has. failed: it runs once, and could not.
 */
const STATES = ['waiting', 'starting', 'up', 'restarting', 'held', 'done', 'failed', 'stopped'] as const;
export type PartState = (typeof STATES)[number];

const part = z.object({
  address: z.string(),
  state: z.enum(STATES),
  process: identity.nullable(),
  /** When this process was started; ISO 8601. */
  since: z.string().nullable(),
  restarts: z.int(),
  /** The end of its log, where it failed. */
  problem: z.string().nullable(),
});

const wanted = z.object({
  /** Later files are laid over earlier ones. */
  composeFiles: z.array(z.string()).min(1),
  /** For the files, beside the passwords. */
  variables: z.record(z.string(), z.string()),
  network: z.string(),
  /** Networks of the regions, this one too, by name: there, a part is called `REGION-NAME`. Empty where there is one region only. */
  regions: z.record(z.string(), z.string()),
  profiles: z.array(z.string()),
  workers: z.int(),
  pipelines: z.string(),
  /** Where the workers are: paths in pipelines begin here. */
  cwd: z.string(),
});

const clusterRecord = z.object({ wanted, supervisor: identity.nullable(), parts: z.record(z.string(), part) });

/** What is to run. */
export type WantedCluster = z.infer<typeof wanted>;
export type PartRecord = z.infer<typeof part>;
export type ClusterRecord = z.infer<typeof clusterRecord>;

/** Null where there is none. @throws PermanentError `OtherVersion` */
export async function readCluster(folder: string): Promise<ClusterRecord | null> {
  const path = join(folder, 'cluster.json');
  const found = await readJsonFile(path, clusterRecord.nullable(), null);
  if (found || !existsSync(path)) return found;
  throw new PermanentError(
    'OtherVersion',
    `${path} is of another version of Sluice, or damaged. Stop that cluster with the version that started it; then remove ${folder} to begin anew.`,
  );
}

export function writeCluster(folder: string, record: ClusterRecord): Promise<void> {
  return writeJsonFile(join(folder, 'cluster.json'), record);
}

const secrets = z.record(z.string(), z.string());

/** Passwords of the cluster, made once. The names are those of docker-compose.yml and docker-compose.region.yml. */
export async function clusterSecrets(folder: string): Promise<Record<string, string>> {
  const path = join(folder, 'secrets.json');
  const known = await readJsonFile(path, secrets, {});
  const names = [
    ...['POSTGRES_PASSWORD', 'REPLICATION_PASSWORD', 'TEMPORAL_DB_PASSWORD', 'SLUICE_DB_PASSWORD', 'GRAFANA_PASSWORD'],
    'PATRONI_API_PASSWORD',
  ];
  const all = Object.fromEntries(names.map((name) => [name, known[name] ?? randomBytes(18).toString('base64url')]));
  await writeJsonFile(path, all);
  return all;
}
