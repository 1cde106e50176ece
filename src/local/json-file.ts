/** Small files of JSON that several processes read: written beside and renamed, so that nobody reads half of one. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';

/** What the file says; `otherwise` where there is none, or none that makes sense. */
export async function readJsonFile<T>(path: string, schema: z.ZodType<T>, otherwise: T): Promise<T> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return otherwise;
  }
}

/** Replaces the file (mode 0600: it may hold passwords). */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.new`;
  await rm(beside, { force: true });
  await writeFile(beside, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(beside, path);
}
