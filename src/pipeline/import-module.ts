/** Imports the built text of a pipeline's module, and says where in the source it failed. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, extname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DefinitionError, describeError } from '../errors.ts';
import { BUILT_FOLDER, type BuiltModule } from './build-module.ts';

/** Built texts are of no use once they are imported; older ones than this are removed. */
const KEEP_MS = 24 * 60 * 60 * 1000;

/**
 * Imports a built module. The same text is the same module within a process.
 *
 * @throws DefinitionError naming the file and the line where it failed
 */
export async function importModule(cwd: string, built: BuiltModule): Promise<{ default?: unknown }> {
  const path = await writeModule(cwd, built);
  try {
    return await import(process.platform === 'win32' || /[%?#\\]/.test(path) ? pathToFileURL(path).href : path);
  } catch (error) {
    const line = lineInSource(error, path, built, cwd);
    throw new DefinitionError(`${built.file}${line}: ${describeError(error)}`, { cause: error });
  }
}

/** Writes the text to `.sluice/modules/`, or where that cannot be written, to a folder of its own. */
async function writeModule(cwd: string, { file, code }: BuiltModule): Promise<string> {
  const hash = createHash('sha256').update(code).digest('hex').slice(0, 16);
  const name = `${basename(file, extname(file))}-${hash}.mjs`;
  let folder = join(cwd, BUILT_FOLDER);
  try {
    await mkdir(folder, { recursive: true });
    await replace(join(folder, name), code);
    await removeOld(folder);
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    folder = await mkdtemp(join(tmpdir(), 'sluice-modules-'));
    await replace(join(folder, name), code);
  }
  return join(folder, name);
}

/** Whole or not at all: other workers import the same file. */
async function replace(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  await writeFile(beside, text);
  await rename(beside, path);
}

async function removeOld(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs > KEEP_MS) await rm(path, { force: true });
  }
}

/** `:12` for the first frame of the stack that lies in the module, ` (other.ts:12)` in a local import; empty where there is none. */
function lineInSource(error: unknown, path: string, built: BuiltModule, cwd: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const map = readSourceMap(built.code);
  if (!map) return '';
  const sources = map.payload.sources.map((source) => resolve(cwd, BUILT_FOLDER, source));
  for (const text of stack.split('\n')) {
    const at = /(\d+):(\d+)\)?$/.exec(text);
    if (!at) continue;
    if (isIn(text, path)) {
      const origin = map.findEntry(Number(at[1]) - 1, Number(at[2]) - 1);
      if ('originalSource' in origin) return place(resolve(cwd, BUILT_FOLDER, origin.originalSource), origin.originalLine + 1, built, cwd);
    }
    // With source maps enabled, the stack names the sources already.
    const source = sources.find((each) => isIn(text, each));
    if (source) return place(source, Number(at[1]), built, cwd);
  }
  return '';
}

function place(source: string, line: number, built: BuiltModule, cwd: string): string {
  return source === resolve(cwd, built.file) ? `:${line}` : ` (${relative(cwd, source)}:${line})`;
}

function isIn(frame: string, path: string): boolean {
  return frame.includes(`${path}:`) || frame.includes(`${pathToFileURL(path).href}:`);
}

function readSourceMap(code: string): SourceMap | null {
  const encoded = /\/\/# sourceMappingURL=data:application\/json;base64,(\S+)\s*$/.exec(code)?.[1];
  return encoded ? new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')) as SourceMapPayload) : null;
}
