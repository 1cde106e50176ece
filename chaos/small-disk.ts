/** A PostgreSQL of its own, on a small file system of its own. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PostgresServer, startPostgresServer } from '../src/local/postgres-server.ts';
import { isAlive } from '../src/local/process-identity.ts';

const run = promisify(execFile);
const MEGABYTES = 320;

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
      const { bavail, bsize } = await statfs(folder);
      await writeFile(filler, Buffer.alloc(bavail * bsize)).catch(() => {});
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
