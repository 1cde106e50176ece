/** Modules as the built program loads them, with Node's own loader. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const program = resolve('dist/src/cli/main.js');
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-project-'));
  await mkdir(join(folder, 'pipelines', 'lib'), { recursive: true });
});

afterEach(() => rm(folder, { recursive: true }));

interface Listed {
  readonly pipelines: { pipeline: string; file: string; fingerprint: string; params: Record<string, unknown> }[];
  readonly problems: { file: string; message: string }[];
}

/** `sluice pipelines --json` in a project without node_modules. */
async function listed(files: Record<string, string>): Promise<Listed & { status: number }> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'pipelines', name), text);
  return await new Promise((done, fail) => {
    execFile(process.execPath, [program, 'pipelines', '--json'], { cwd: folder }, (error, stdout, stderr) => {
      const last = stdout.trim().split('\n').at(-1);
      if (!last) return fail(new Error(stderr));
      done({ ...(JSON.parse(last) as Listed), status: typeof error?.code === 'number' ? error.code : 0 });
    });
  });
}

const good = (name: string) => `import { csv, definePipeline, postgres } from 'sluice';
import { z } from 'zod';

export default definePipeline({
  name: '${name}',
  params: z.object({ from: z.iso.date().optional() }),
  source: csv({ files: import.meta.dirname + '/*.csv' }),
  row: z.object({ id: z.int() }),
  target: postgres({ table: 'orders', mode: 'append' }),
});
`;

it('loads TypeScript as it is, without anything installed', async () => {
  const { pipelines, problems, status } = await listed({
    'orders.ts': good('orders'),
    'orders.test.ts': 'throw 1',
    'orders.d.ts': 'x',
    'lib/helper.ts': 'throw 1',
  });
  expect(problems).toEqual([]);
  expect(pipelines).toEqual([
    {
      pipeline: 'orders',
      description: '',
      file: 'pipelines/orders.ts',
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      params: { from: expect.objectContaining({ format: 'date' }) },
    },
  ]);
  expect(status).toBe(0);
});

it('takes several pipelines of one module', async () => {
  const module = `${good('orders').replace('export default', 'const one =')}\nexport default [one, { ...one, name: 'returns' }];`;
  expect((await listed({ 'orders.mts': module })).pipelines.map((each) => each.pipeline)).toEqual(['orders', 'returns']);
});

it('names file and line of a mistake in a definition, and loads the others', async () => {
  const bad = good('bad')
    .replace(`mode: 'append'`, `mode: 'upsert', key: ['order_id']`)
    .replace(/ {2}params.*\n/, '');
  const { pipelines, problems, status } = await listed({ 'orders.ts': good('orders'), 'bad.ts': bad });
  expect(pipelines.map((each) => each.pipeline)).toEqual(['orders']);
  expect(status).toBe(2);
  expect(problems).toEqual([
    expect.objectContaining({
      file: 'pipelines/bad.ts',
      message: expect.stringMatching(/^pipelines\/bad\.ts:4: pipeline "bad": target\.key: column "order_id" is not in the row schema/),
    }),
  ]);
});

it('names the local import that threw', async () => {
  const { problems } = await listed({
    'orders.ts': `import './lib/helper.ts';\n${good('orders')}`,
    'lib/helper.ts': `\n\nthrow new Error('no such region');`,
  });
  expect(problems[0]?.message).toBe('pipelines/orders.ts (pipelines/lib/helper.ts:3): no such region');
});

it.each([
  ['no default export', 'export const a = 1;', /has no default export\. Write "export default definePipeline/],
  ['something else', 'export default { name: "orders" };', /has a default export that is no pipeline/],
])('refuses %s', async (_, text, message) => {
  expect((await listed({ 'orders.ts': text })).problems[0]?.message).toMatch(message);
});

it('refuses a name that is there twice', async () => {
  const { pipelines, problems } = await listed({ 'a.ts': good('orders'), 'b.js': good('orders') });
  expect(pipelines).toEqual([]);
  expect(problems.map((each) => each.message)).toEqual([
    'pipelines/a.ts: pipeline "orders" is defined also in pipelines/b.js. Rename one of them.',
    'pipelines/b.js: pipeline "orders" is defined also in pipelines/a.ts. Rename one of them.',
  ]);
});
