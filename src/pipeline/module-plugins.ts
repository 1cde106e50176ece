/** What esbuild is told about imports of packages and about `import.meta` in a pipeline's module. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Loader, Plugin, PluginBuild, ResolveResult } from 'esbuild';

/** This package's folder. */
const packageFolder = findPackageFolder(dirname(fileURLToPath(import.meta.url)));
/** What the name `sluice` means where a project has no copy of its own, or is this package: the copy that runs now. */
const running: Readonly<Record<string, string>> = { sluice: '../index', 'sluice/client': '../client/index' };

/**
 * Imports of packages stay imports, of the absolute path that they mean seen from the module: the built text lies elsewhere.
 * `sluice` and `zod` are found without being installed in the project: then they are this package's own.
 */
export function importsOfPackages(): Plugin {
  return {
    name: 'sluice-packages',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, resolveDir, pluginData }) => {
        if (pluginData === LOOKING || path.startsWith('node:') || path.startsWith('#') || kind === 'entry-point') return null;
        const found = await look(build, path, kind, resolveDir);
        const own = running[path];
        if (own && (!found || isInside(found.path, packageFolder))) return { path: specifier(runningCopy(own)), external: true };
        if (found?.external) return { path: found.path, external: true };
        if (found) return isPackage(found.path) ? { path: specifier(found.path), external: true } : null;
        if (/^zod(\/|$)/.test(path)) {
          const ours = await look(build, path, kind, packageFolder);
          if (ours) return { path: specifier(ours.path), external: true };
        }
        return {
          errors: [{ text: `Package "${path}" is not installed. Install it (npm install ${packageName(path)}), or correct the import.` }],
        };
      });
    },
  };
}

/** Sluice itself is no part of a pipeline's code, also where a tsconfig says which file the name means. */
export function withoutSluice(): Plugin {
  return {
    name: 'sluice-itself',
    setup(build) {
      build.onResolve({ filter: /^sluice(\/client)?$/ }, ({ path }) => ({ path, external: true }));
    },
  };
}

/** `import.meta.url`, `.dirname` and `.filename` mean the source file, not the built text. */
export function ownPlaces(): Plugin {
  return {
    name: 'sluice-places',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        if (!text.includes('import.meta') || text.startsWith('#!')) return null;
        const values = { url: pathToFileURL(path).href, dirname: dirname(path), filename: path };
        const declared = Object.entries(values).map(([name, value]) => `${PREFIX}${name} = ${JSON.stringify(value)}`);
        // On the first line, so that line numbers stay; esbuild keeps the constants of different files apart.
        return { contents: `const ${declared.join(', ')};${text}`, loader: loaderOf(path) };
      });
    },
  };
}

const PREFIX = '__sluice_module_';
ownPlaces.define = Object.fromEntries(['url', 'dirname', 'filename'].map((name) => [`import.meta.${name}`, `${PREFIX}${name}`]));

const LOOKING = Symbol('looking');

async function look(
  build: PluginBuild,
  path: string,
  kind: 'import-statement' | string,
  resolveDir: string,
): Promise<ResolveResult | null> {
  const result = await build.resolve(path, { kind: kind as 'import-statement', resolveDir, pluginData: LOOKING });
  return result.errors.length === 0 ? result : null;
}

/** A path alias of a tsconfig leads to a local file, which belongs into the text; so does JSON, which Node imports only with attributes. */
function isPackage(path: string): boolean {
  return !path.endsWith('.json') && (/[\\/]node_modules[\\/]/.test(path) || isInside(path, packageFolder));
}

function runningCopy(own: string): string {
  return fileURLToPath(new URL(own + extname(fileURLToPath(import.meta.url)), import.meta.url));
}

/** A path as an import takes it. Plain where it can be: tests load modules with another loader than Node's. */
function specifier(path: string): string {
  return process.platform === 'win32' || /[%?#\\]/.test(path) ? pathToFileURL(path).href : path;
}

function packageName(path: string): string {
  return path.split('/', path.startsWith('@') ? 2 : 1).join('/');
}

function loaderOf(path: string): Loader {
  return /ts$/.test(path) ? 'ts' : 'js';
}

function isInside(path: string, folder: string): boolean {
  return path.startsWith(join(folder, '/'));
}

function findPackageFolder(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || folder === dirname(folder)) return folder;
  }
}
