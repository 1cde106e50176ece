import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildModule, releaseBuilder } from '../../../src/pipeline/build-module.ts';

let folders: string[] = [];

afterEach(async () => {
  await releaseBuilder();
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
  folders = [];
});

async function project(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-modules-'));
  folders.push(folder);
  await mkdir(join(folder, 'pipelines', 'lib'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'pipelines', name), text);
  return folder;
}

async function fingerprint(files: Record<string, string>): Promise<string> {
  return (await buildModule(await project(files), 'pipelines/orders.ts')).fingerprint;
}

const orders = `import { definePipeline } from 'sluice';
import { limit } from './lib/limit.ts';
export default definePipeline({ name: 'orders', here: import.meta.dirname, limit });`;
const limit = 'export const limit: number = 5;';

describe('the fingerprint of a pipeline', () => {
  it('is the same wherever the module lies, and however it is formatted', async () => {
    const before = await fingerprint({ 'orders.ts': orders, 'lib/limit.ts': limit });
    const after = await fingerprint({
      'orders.ts': `/** About orders. */\n${orders.replace("{ name: 'orders',", '{\n    // the name\n    name: "orders",')}\n`,
      'lib/limit.ts': `// a comment\nexport   const limit: number = 5`,
    });
    expect(before).toMatch(/^[0-9a-f]{16}$/);
    expect(after).toBe(before);
  });

  it('changes with the code of the module', async () => {
    const before = await fingerprint({ 'orders.ts': orders, 'lib/limit.ts': limit });
    expect(await fingerprint({ 'orders.ts': orders.replace("'orders'", "'orders2'"), 'lib/limit.ts': limit })).not.toBe(before);
  });

  it('changes with the code of a local import', async () => {
    const before = await fingerprint({ 'orders.ts': orders, 'lib/limit.ts': limit });
    expect(await fingerprint({ 'orders.ts': orders, 'lib/limit.ts': limit.replace('5', '6') })).not.toBe(before);
  });
});

describe('a module that cannot be built', () => {
  const message = async (text: string) => buildModule(await project({ 'orders.ts': text }), 'pipelines/orders.ts').then(String, String);

  it('is named with line and column', async () => {
    expect(await message('const a = 1;\nexport default = 2;')).toContain('pipelines/orders.ts:2:16: Unexpected "="');
  });

  it('is told which package is not installed', async () => {
    expect(await message(`import left from '@pad/left/right';\nexport default left;`)).toContain(
      'pipelines/orders.ts:1:18: Package "@pad/left/right" is not installed. Install it (npm install @pad/left)',
    );
  });

  it('is told which local file is not there', async () => {
    expect(await message(`import { a } from './nowhere.ts';\nexport default a;`)).toMatch(
      /orders\.ts:1:19: Could not resolve "\.\/nowhere\.ts"/,
    );
  });
});

it('takes "sluice" and "zod" from this package where the project has none, and leaves them out of the fingerprint', async () => {
  const built = await buildModule(
    await project({ 'orders.ts': `import { csv } from 'sluice';\nimport { z } from 'zod';\nexport default [csv, z];` }),
    'pipelines/orders.ts',
  );
  expect(built.code).toMatch(/from "\/.*\/src\/index\.ts"/);
  expect(built.code).toMatch(/from "\/.*\/node_modules\/zod\//);
});

it('gives modules their own place', async () => {
  const folder = await project({
    'orders.ts': `import { there } from './lib/there.ts';\nexport default [import.meta.dirname, there];`,
    'lib/there.ts': 'export const there = import.meta.url;',
  });
  const { code } = await buildModule(folder, 'pipelines/orders.ts');
  expect(code).toContain(`"${join(folder, 'pipelines')}"`);
  expect(code).toContain(`"file://${join(folder, 'pipelines', 'lib', 'there.ts')}"`);
});
