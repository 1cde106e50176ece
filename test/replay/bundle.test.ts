/** Imports point one way: what workflows are made of does no input or output, and needs nothing that does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(__dirname, '../..');

/** The modules that really end up in the workflows (types do not), relative to the root, and the packages that they ask for. */
async function modulesOf(entry: string): Promise<{ files: string[]; packages: string[] }> {
  const { metafile } = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    packages: 'external',
    format: 'esm',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  return {
    files: Object.keys(metafile.inputs).sort(),
    packages: [...new Set(imports.filter((each) => each.external).map((each) => each.path))].sort(),
  };
}

test('workflows are made of workflow files, contracts and Temporal alone', async () => {
  const { files, packages } = await modulesOf('workflows/index.ts');
  expect(files).toContain('workflows/pipeline.ts');
  expect(files.filter((file) => !/^(workflows|src\/contracts)\//.test(file))).toEqual([]);
  expect(packages).toEqual(['@temporalio/common', '@temporalio/workflow']);
});

test('the bundle that workers run holds nothing else, but for what Temporal itself brings', () => {
  const bundle = readFileSync(join(ROOT, 'dist/workflows.bundle.js'), 'utf8');
  // Webpack writes the path of each module above it.
  const modules = [...bundle.matchAll(/^\/\*\*\*\/ "([^"]+)"/gm)].map(([, path = '']) => path);
  const packages = modules.flatMap((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  // `?0be9` and the like are empty: what Temporal leaves out on purpose.
  const own = modules.filter((path) => !path.includes('node_modules/') && !path.startsWith('?'));
  expect([...new Set(packages)].sort()).toEqual(['@temporalio/common', '@temporalio/workflow', 'long', 'ms', 'nexus-rpc']);
  expect(own.filter((path) => !/^\.\/dist\/(workflows|src\/contracts)\//.test(path))).toEqual([]);
  expect(own).toContain('./dist/workflows/pipeline.js');
});

test('an activity imported as code would be noticed', async () => {
  const { files, packages } = await modulesOf('src/activities/index.ts');
  expect(files).toContain('src/connectors/postgres/database.ts');
  expect(packages).toContain('pg');
});
