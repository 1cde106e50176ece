/** Parts that were killed on purpose and are left down: a file for each, so that whoever supervises sees it. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const held = (folder: string) => join(folder, 'held');

export async function heldParts(folder: string): Promise<Set<string>> {
  return new Set(await readdir(held(folder)).catch(() => []));
}

export async function holdPart(folder: string, name: string): Promise<void> {
  await mkdir(held(folder), { recursive: true });
  await writeFile(join(held(folder), name), '');
}

export async function letPartGo(folder: string, name: string): Promise<void> {
  await rm(join(held(folder), name), { force: true });
}
