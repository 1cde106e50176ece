/** How each part of a cluster is: that it answers, what it does at the moment, and what memory it takes. */
import { readFile } from 'node:fs/promises';
import { isAlive } from '../local/process-identity.ts';
import type { ClusterRecord, PartRecord, PartState } from './cluster-file.ts';
import type { ComposeService } from './compose-file.ts';
import { ask, isEtcdLeader, isHealthy } from './health.ts';
import { wantedServices } from './parts.ts';

export interface PartStatus {
  readonly name: string;
  readonly address: string;
  readonly state: PartState | 'not answering';
  /** What it is among its likes, where they differ: `primary`, `synchronous standby, lag 0 B`, `leader`. */
  readonly role: string;
  readonly pid: number | null;
  readonly since: string | null;
  readonly restarts: number;
  /** Resident memory; null where it does not run or nobody knows. */
  readonly bytes: number | null;
}

export async function clusterStatus(folder: string, record: ClusterRecord): Promise<PartStatus[]> {
  const services = await wantedServices(folder, record.wanted);
  return await Promise.all(
    services.map(async ({ name, image, health }) => {
      const part = record.parts[name];
      if (!part) return { name, address: '', state: 'waiting', role: '', pid: null, since: null, restarts: 0, bytes: null };
      const runs = part.process !== null && isAlive(part.process);
      const state = await stateOf(part, runs, health);
      return {
        name,
        address: part.address,
        state,
        role: runs && state === 'up' ? await roleOf(image, part.address) : '',
        pid: runs ? (part.process?.pid ?? null) : null,
        since: part.since,
        restarts: part.restarts,
        bytes: runs && part.process ? await residentBytes(part.process.pid) : null,
      };
    }),
  );
}

/** Whether what dies is started again. */
export function isSupervised({ supervisor }: ClusterRecord): boolean {
  return supervisor !== null && isAlive(supervisor);
}

async function stateOf(part: PartRecord, runs: boolean, health: ComposeService['health']): Promise<PartStatus['state']> {
  if (part.state !== 'up') return part.state;
  if (!runs) return 'stopped';
  return health === null || (await isHealthy(part.address, health)) ? 'up' : 'not answering';
}

async function roleOf(image: string, address: string): Promise<string> {
  if (image === 'sluice-postgres') return await postgresRole(address);
  if (image.endsWith('/etcd')) return (await isEtcdLeader(address)) ? 'leader' : 'follower';
  return '';
}

/** Patroni's own words: https://patroni.readthedocs.io/en/latest/rest_api.html */
async function postgresRole(address: string): Promise<string> {
  const text = await ask(`http://${address}:8008/cluster`);
  if (text === null) return '';
  const { members = [] } = JSON.parse(text) as { members?: { host: string; role: string; state: string; lag?: number | string }[] };
  const member = members.find(({ host }) => host === address);
  if (!member) return '';
  const role = { leader: 'primary', sync_standby: 'synchronous standby', replica: 'asynchronous standby' }[member.role] ?? member.role;
  return member.lag === undefined
    ? role
    : `${role}, ${typeof member.lag === 'number' ? `${member.lag} bytes behind` : `lag ${member.lag}`}`;
}

/** Resident memory of a process; null where it does not run or nobody knows. */
export async function residentBytes(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}
