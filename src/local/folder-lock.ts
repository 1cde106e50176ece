import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TransientError } from '../errors.ts';

/** How to wait for a folder. */
export interface FolderLockOptions {
  /** How long to wait, in milliseconds. @default 900000 (15 minutes: the longest holder compiles the Temporal server) */
  readonly timeoutMs?: number;
  /** Told once, when somebody else has the folder. */
  readonly onWait?: (holder: string) => void;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/**
 * Does `work` while no other process of this user does anything under the lock of the same folder.
 *
 * The lock is a listening socket (on Linux in the abstract namespace, unix(7)): the kernel lets go of it when its process
 * ends, however it ends, so there are no stale locks to recognise. It does not reach across containers.
 *
 * @throws TransientError `FolderBusy` when the folder is still taken after `timeoutMs`.
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>, options: FolderLockOptions = {}): Promise<T> {
  await mkdir(folder, { recursive: true });
  const address = lockAddress(await realpath(folder));
  const { timeoutMs = 900_000 } = options;
  const deadline = Date.now() + timeoutMs;
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    const lock = await listen(address);
    if (lock) {
      try {
        return await work();
      } finally {
        lock.close();
      }
    }
    const holder = await askHolder(address);
    if (holder === null) continue; // let go meanwhile
    if (Date.now() >= deadline) {
      throw new TransientError(
        'FolderBusy',
        `${folder} is in use by ${holder}, for more than ${Math.round(timeoutMs / 1000)} s now. Wait for it, or end it, and try again.`,
      );
    }
    if (!told) options.onWait?.(holder);
    told = true;
    await delay(50);
  }
}

function lockAddress(folder: string): string {
  const name = `sluice-${process.getuid?.() ?? 0}-${createHash('sha256').update(folder).digest('hex').slice(0, 32)}`;
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
}

function listen(address: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`process ${process.pid}`, () => socket.destroy());
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Who holds the lock; null when nobody does any more. */
function askHolder(address: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(address);
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data;
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A socket file outlives its process, an abstract name does not.
      if (error.code === 'ECONNREFUSED' && !address.startsWith('\0')) void rm(address, { force: true });
      resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? null : 'another process');
    });
    socket.once('close', () => resolve(answer || 'another process'));
  });
}
