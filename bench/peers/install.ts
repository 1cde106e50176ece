/** Brings the programs to compare with into the cache folder: nothing outside of it is changed, and no root is needed. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeError } from '../../src/errors.ts';
import { cacheFolder } from '../../src/local/cache-folder.ts';
import { ROOT } from '../stack.ts';

const run = promisify(execFile);
const INSTALL_MS = 600_000;

/** The Python of a virtualenv that has dlt. @throws Error saying what is missing */
export async function installDlt(say: (message: string) => void): Promise<{ python: string }> {
  const requirements = join(ROOT, 'bench/peers/requirements.txt');
  const version = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder(), `bench-dlt-${version}`);
  await once(folder, async () => {
    say(`installing dlt into ${folder}`);
    await run('python3', ['-m', 'venv', folder], { timeout: INSTALL_MS });
    await run(join(folder, 'bin/pip'), ['install', '--quiet', '--requirement', requirements], { timeout: INSTALL_MS });
  }).catch((error) => {
    throw new Error(`dlt cannot be installed (it needs python3 with venv and pip): ${describeError(error)}`, { cause: error });
  });
  return { python: join(folder, 'bin/python') };
}

/** pgloader from the PATH, else Debian's package unpacked. @throws Error saying how to install it */
export async function installPgloader(say: (message: string) => void): Promise<{ command: string; env: NodeJS.ProcessEnv }> {
  if (await run('pgloader', ['--version']).catch(() => null)) return { command: 'pgloader', env: process.env };
  const folder = join(cacheFolder(), 'bench-pgloader');
  await once(folder, async () => {
    say(`unpacking pgloader into ${folder}`);
    await run('apt-get', ['download', 'pgloader', 'libsybdb5'], { cwd: folder, timeout: INSTALL_MS });
    for (const name of await readdir(folder)) if (name.endsWith('.deb')) await run('dpkg-deb', ['-x', name, '.'], { cwd: folder });
  }).catch((error) => {
    throw new Error(`pgloader is not installed; on Debian and Ubuntu: apt-get install pgloader (${describeError(error)})`, {
      cause: error,
    });
  });
  const libraries = (await readdir(join(folder, 'usr/lib'))).map((name) => join(folder, 'usr/lib', name));
  return { command: join(folder, 'usr/bin/pgloader'), env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') } };
}

/** An install that was interrupted begins again. */
async function once(folder: string, install: () => Promise<void>): Promise<void> {
  const done = join(folder, 'installed');
  if (existsSync(done)) return;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await install();
  await writeFile(done, '');
}
