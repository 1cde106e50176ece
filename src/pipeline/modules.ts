/** Finds and loads the modules that define pipelines: TypeScript as it is, on Node 20 too. */
import { readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { DEFAULT_PIPELINES_FOLDER } from '../contracts/names.ts';
import { DefinitionError, PermanentError } from '../errors.ts';
import { type BuiltModule, buildModule, releaseBuilder } from './build-module.ts';
import { isPipeline, type Pipeline } from './definition.ts';
import { importModule } from './import-module.ts';

export interface LoadPipelinesOptions {
  /** Folder of the modules, relative to `cwd`. @default 'pipelines' */
  readonly dir?: string;
  /** @default process.cwd() */
  readonly cwd?: string;
}

/** A pipeline and where it came from. */
export interface LoadedPipeline {
  readonly pipeline: Pipeline;
  /** Short hash of the module and of the local files it imports, as code: formatting and comments do not change it. */
  readonly fingerprint: string;
  /** Path of the module relative to `cwd`. */
  readonly file: string;
}

/** A module that gives no pipeline, and why. */
export interface PipelineProblem {
  /** Path of the module relative to `cwd`. */
  readonly file: string;
  /** Its message names the file and, where known, the line. */
  readonly error: PermanentError;
}

export interface LoadedPipelines {
  /** By name. */
  readonly pipelines: ReadonlyMap<string, LoadedPipeline>;
  /** Modules that could not be used; the others are not affected. */
  readonly problems: readonly PipelineProblem[];
}

/**
 * Loads the modules of a folder: `*.ts`, `*.mts`, `*.js`, `*.mjs`, not its subfolders, not `*.d.ts` and `*.test.*`. The default export
 * of each is a pipeline, or a list of them.
 *
 * @throws PermanentError `MissingPipelines` where the folder is not there. What is wrong with a module is in `problems`.
 *
 * @example
 * const { pipelines } = await loadPipelines({ dir: 'pipelines' });
 * pipelines.get('flights')?.fingerprint;
 */
export async function loadPipelines(options: LoadPipelinesOptions = {}): Promise<LoadedPipelines> {
  const cwd = resolve(options.cwd ?? process.cwd());
  const dir = resolve(cwd, options.dir ?? DEFAULT_PIPELINES_FOLDER);
  const files = await findModules(dir, cwd);
  const results = await Promise.all(files.map((file) => loadModule(cwd, file)));
  await releaseBuilder();

  const found = results.flatMap((result) => ('error' in result ? [] : result));
  const problems = results.flatMap((result) => ('error' in result ? [result] : []));
  const pipelines = new Map<string, LoadedPipeline>();
  for (const each of found) {
    const same = found.filter((other) => other.pipeline.name === each.pipeline.name);
    if (same.length === 1) pipelines.set(each.pipeline.name, each);
    else if (same[0] === each) problems.push(...same.map((one) => twice(one, same)));
  }
  return { pipelines, problems: problems.sort((a, b) => a.file.localeCompare(b.file)) };
}

/**
 * The pipeline of this name.
 * @throws PermanentError `UnknownPipeline` that says which there are, and which modules could not be used
 */
export function requirePipeline({ pipelines, problems }: LoadedPipelines, name: string): LoadedPipeline {
  const loaded = pipelines.get(name);
  if (loaded) return loaded;
  const known = pipelines.size > 0 ? `There are: ${[...pipelines.keys()].join(', ')}.` : 'There are none.';
  const broken = problems.map((problem) => `\n${problem.error.message}`).join('');
  throw new PermanentError(
    'UnknownPipeline',
    `pipeline "${name}" is not known. ${known} Check the name, or start workers where its module is (--pipelines DIR).${broken && ` These modules could not be used:${broken}`}`,
  );
}

async function findModules(dir: string, cwd: string): Promise<string[]> {
  let names: string[];
  try {
    names = (await readdir(dir, { withFileTypes: true })).filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    throw new PermanentError(
      'MissingPipelines',
      `there is no folder ${shorten(dir, cwd)} with pipelines. Make one with "sluice init", or name another with --pipelines.`,
      { cause: error },
    );
  }
  return names
    .filter((name) => /\.m?[jt]s$/.test(name) && !/\.d\.m?ts$|\.test\./.test(name))
    .sort()
    .map((name) => shorten(join(dir, name), cwd));
}

async function loadModule(cwd: string, file: string): Promise<LoadedPipeline[] | PipelineProblem> {
  try {
    const built = await buildModule(cwd, file);
    const exported = (await importModule(cwd, built)).default;
    return pipelinesOf(exported, built).map((pipeline) => ({ pipeline, fingerprint: built.fingerprint, file }));
  } catch (error) {
    const known = error instanceof PermanentError ? error : new DefinitionError(`${file}: ${String(error)}`, { cause: error });
    return { file, error: known };
  }
}

function pipelinesOf(exported: unknown, { file }: BuiltModule): Pipeline[] {
  const all = Array.isArray(exported) ? exported : [exported];
  if (all.length > 0 && all.every(isPipeline)) return all;
  const instead = exported === undefined ? 'has no default export' : 'has a default export that is no pipeline';
  throw new DefinitionError(
    `${file}: the module ${instead}. Write "export default definePipeline({ ... })", or move the file out of this folder.`,
  );
}

function twice(one: LoadedPipeline, same: readonly LoadedPipeline[]): PipelineProblem {
  const others = [...new Set(same.map((each) => each.file))].filter((file) => file !== one.file);
  const where = others.length > 0 ? `also in ${others.join(', ')}` : 'there more than once';
  return {
    file: one.file,
    error: new DefinitionError(`${one.file}: pipeline "${one.pipeline.name}" is defined ${where}. Rename one of them.`),
  };
}

function shorten(path: string, cwd: string): string {
  return relative(cwd, path).replaceAll('\\', '/') || '.';
}
