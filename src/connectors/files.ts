/** Files as they were when the run was planned: a file that changed since stops its partition. */
import { stat } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { glob } from 'tinyglobby';
import { PermanentError } from '../errors.ts';

/** A file with what tells that it is still the same. */
export interface PlannedFile {
  /** As given to the worker: relative to its working directory, or absolute. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * The files that a pattern names, in the order of their names.
 * @param pattern path or glob, relative to the worker's working directory
 * @throws PermanentError `MissingFile`
 */
export async function findFiles(pattern: string | readonly string[]): Promise<PlannedFile[]> {
  const patterns = typeof pattern === 'string' ? [pattern] : [...pattern];
  const paths = new Set<string>();
  for (const each of patterns) {
    const found = await glob([each], { absolute: true, onlyFiles: true, expandDirectories: false, dot: true });
    if (found.length === 0) {
      throw new PermanentError(
        'MissingFile',
        `No file matches "${each}" (looked in ${process.cwd()}). Check the path; every worker must see the same files.`,
      );
    }
    for (const path of found) paths.add(path);
  }
  const sorted = [...paths].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return await Promise.all(sorted.map((path) => describeFile(tidyPath(path))));
}

async function describeFile(path: string): Promise<PlannedFile> {
  try {
    const found = await stat(path);
    return { path, bytes: found.size, modifiedMs: Math.trunc(found.mtimeMs) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw new PermanentError('MissingFile', `File "${path}" is not there. Every worker must see the same files.`, { cause: error });
    if (code === 'EACCES') throw new PermanentError('MissingGrant', `File "${path}" may not be read by this worker.`, { cause: error });
    throw error;
  }
}

function tidyPath(absolute: string): string {
  const inside = relative(process.cwd(), absolute);
  return inside.startsWith('..') ? resolve(absolute) : inside;
}

/**
 * @throws PermanentError `SourceChanged` where size or time differ from the plan's
 */
export async function requireUnchanged(files: readonly PlannedFile[]): Promise<void> {
  for (const planned of files) {
    const now = await describeFile(planned.path);
    if (now.bytes !== planned.bytes || now.modifiedMs !== planned.modifiedMs) {
      throw new PermanentError(
        'SourceChanged',
        `File "${planned.path}" changed since the run was planned (${planned.bytes} bytes then, ${now.bytes} now). Nothing more is read from it. Start a new run, or put the planned file back and use "sluice retry".`,
      );
    }
  }
}
