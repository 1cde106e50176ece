/** The README's examples of application code, run as they stand. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freshDatabase } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

const ROOT = resolve(__dirname, '../..');
const run = promisify(execFile);

test('the examples with sluice/client and with nothing but @temporalio/client load the months they name', async () => {
  // given a worker with the repository's own pipelines
  const flow = await project('readme', await freshDatabase('readme'));
  await rm(join(flow.folder, 'pipelines'), { recursive: true });
  await symlink(join(ROOT, 'pipelines'), join(flow.folder, 'pipelines'));
  await symlink(join(ROOT, 'node_modules'), join(flow.folder, 'node_modules'));
  await startWorker(flow);

  // when the examples run as programs of this package
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] ?? '');
  expect(examples).toHaveLength(2);
  const folder = join(ROOT, 'dist/readme');
  await mkdir(folder, { recursive: true });
  const outputs: unknown[] = [];
  for (const [index, text] of examples.entries()) {
    const file = join(folder, `example-${index}.mjs`);
    await writeFile(file, text);
    const { stdout } = await run(process.execPath, [file], { env: flow.env, timeout: 90_000 });
    outputs.push(JSON.parse(stdout));
  }

  // then both have loaded a month of real flights
  expect(outputs).toEqual([{ rowsLoaded: 511_502, rowsQuarantined: 0 }, { rowsLoaded: 501_030 }]);
});
