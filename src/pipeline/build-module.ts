/** Makes one JavaScript text of a pipeline's module and the local files it imports, with esbuild. */
import { join, resolve } from 'node:path';
import type { BuildFailure, BuildOptions, Message, OutputFile } from 'esbuild';
import { DefinitionError, describeError } from '../errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import { importsOfPackages, ownPlaces, withoutSluice } from './module-plugins.ts';

/** Where built texts are written, relative to the working directory; their source maps count from there. */
export const BUILT_FOLDER = join('.sluice', 'modules');

/** A module ready to be imported. */
export interface BuiltModule {
  /** Path of the source relative to the working directory. */
  readonly file: string;
  /** What is imported: packages by absolute path, with an inline source map. */
  readonly code: string;
  readonly fingerprint: string;
}

/**
 * Builds a module twice: once as it is imported, and once minified, with packages left out, for the fingerprint.
 *
 * @param file relative to `cwd`
 * @throws DefinitionError naming file, line and column of the first mistake
 */
export async function buildModule(cwd: string, file: string): Promise<BuiltModule> {
  building++;
  try {
    const common: BuildOptions & { write: false } = {
      absWorkingDir: cwd,
      entryPoints: [resolve(cwd, file)],
      outfile: join(BUILT_FOLDER, 'module.mjs'),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      charset: 'utf8',
      loader: { '.sql': 'text', '.txt': 'text' },
      logLevel: 'silent',
    };
    // Loaded only here: who imports 'sluice' to define a pipeline needs no compiler.
    const { build } = await import('esbuild');
    const [loaded, bare] = await Promise.all([
      build({ ...common, sourcemap: 'inline', plugins: [importsOfPackages(), ownPlaces()], define: ownPlaces.define }),
      build({ ...common, packages: 'external', minify: true, legalComments: 'none', plugins: [withoutSluice()] }),
    ]);
    return { file, code: onlyText(loaded.outputFiles), fingerprint: fingerprintOf(onlyText(bare.outputFiles)) };
  } catch (error) {
    throw new DefinitionError(describeBuildFailure(error, file), { cause: error });
  } finally {
    building--;
  }
}

let building = 0;

/** Ends esbuild's own process, which would stay as long as this one, where nobody builds. */
export async function releaseBuilder(): Promise<void> {
  if (building > 0) return;
  const { stop } = await import('esbuild');
  await stop();
}

function onlyText(files: readonly OutputFile[]): string {
  return files[0]?.text ?? '';
}

function describeBuildFailure(error: unknown, file: string): string {
  const [first] = (error as Partial<BuildFailure>).errors ?? [];
  return first ? `${placeOf(first, file)}: ${first.text}` : `${file}: ${describeError(error)}`;
}

/** `pipelines/orders.ts:3:14` */
function placeOf({ location }: Message, file: string): string {
  if (!location) return file;
  return `${location.file}:${location.line}:${location.column + 1}`;
}
