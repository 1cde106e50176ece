/** Says before the first row that the disk is too small, in place of PostgreSQL in the middle. */
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { BenchOptions } from './options.ts';

/** At the most, for each row: the orders in two databases, target, staging, what an update leaves behind, and three kinds of files. */
const BYTES_A_ROW = 1_600;
/** Servers, WAL (max_wal_size and what comes before a checkpoint), logs. */
const BYTES_BESIDE = 5e9;

/** @throws Error where the temporary folder's disk has no room for the rows */
export async function requireRoom(options: BenchOptions): Promise<void> {
  const rows = Math.max(options.rows, ...(options.suites.includes('growth') ? options.growthRows : []));
  const needed = (options.quick ? 1e9 : BYTES_BESIDE) + rows * BYTES_A_ROW;
  const { bavail, bsize } = await statfs(tmpdir());
  const free = bavail * bsize;
  if (free >= needed) return;
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  throw new Error(
    `${rows.toLocaleString('en-US')} rows need about ${gigabytes(needed)} GB in ${tmpdir()}, and ${gigabytes(free)} GB are free. ` +
      'Make room, take fewer rows (--rows, --growth-rows), or let TMPDIR name a folder on a larger disk.',
  );
}
