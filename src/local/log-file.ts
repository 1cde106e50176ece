import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const rotateAtBytes = 20 * 1024 * 1024;

/** Opens a log file to append to. One that has grown above 20 MB is set aside first, as `FILE.1`. */
export async function openLogFile(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > rotateAtBytes) await rename(path, `${path}.1`);
  return open(path, 'a');
}

/** The size of a file now; 0 where there is none. With {@link lastLines}: what was written since. */
export function logPosition(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** The last lines of a log, for an error message; none from before `sinceBytes`. */
export async function lastLines(path: string, lines = 8, sinceBytes = 0): Promise<string> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = await file.stat();
    const from = Math.max(size - 16_384, sinceBytes <= size ? sinceBytes : 0);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    await file.close();
  }
}
