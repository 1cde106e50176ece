/** A PostgreSQL of its own, on a small file system of its own. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PostgresServer, startPostgresServer } from '../src/local/postgres-server.ts';
import { isAlive } from '../src/local/process-identity.ts';

const run = promisify(execFile);
const MEGABYTES = 320;

/** Of a disk that is full: what the server may have given back in the moment. */
const MOST_LEFT = 1_000_000;

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The server writes too. */
function unlessFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}

export interface SmallDisk {
  /** Of the database on it. */
  readonly url: string;
  readonly megabytes: number;
  /** To the last block. */
  fill(): Promise<void>;
  /** As it was before it was filled, with the server up. */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** Null where this machine does not let us mount a file system. */
export async function makeSmallDisk(folder: string): Promise<SmallDisk | null> {
  await mkdir(folder, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${MEGABYTES}m,mode=755`, 'tmpfs', folder]);
  } catch {
    return null;
  }
  const settings = { max_wal_size: '64MB', min_wal_size: '32MB' };
  const start = (port?: number): Promise<PostgresServer> => startPostgresServer({ folder: join(folder, 'postgres'), port, settings });
  let server = await start();
  const filler = join(folder, 'filler');
  return {
    url: server.url,
    megabytes: MEGABYTES,
    fill: async () => {
      await writeFile(filler, Buffer.alloc(await freeBytes(folder))).catch(unlessFull);
      const left = await freeBytes(folder);
      if (left > MOST_LEFT) throw new Error(`${folder} is not full: ${left} bytes are left`);
    },
    empty: async () => {
      await rm(filler);
      // A server that cannot write its log gives up; whoever keeps it up starts it again.
      if (!isAlive(server.process)) server = await start(server.port);
    },
    stop: async () => {
      await server.stop('immediate');
      await run('umount', [folder]);
    },
  };
}
