import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { type PostgresAccount, underAccount } from './postgres-account.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { findByWorkingDirectory } from './process-identity.ts';

const run = promisify(execFile);

/** Superuser of the embedded database. */
export const postgresUser = 'postgres';

const majorVersion = '18';

/** The folder of the data, inside of the folder of the database. */
export function dataFolderIn(folder: string): string {
  return join(folder, 'data');
}

/** The password of the embedded database: random, made at the first start, readable for its owner only. */
export async function postgresPassword(folder: string): Promise<string> {
  const path = join(folder, 'password');
  const present = await readFile(path, 'utf8').catch(() => '');
  if (present.trim()) return present.trim();
  if (await exists(dataFolderIn(folder))) {
    throw new PermanentError(
      'PasswordLost',
      `the embedded database in ${folder} is there, but the file with its password (${path}) is gone. Put it back, or delete ${folder} to begin with an empty database.`,
    );
  }
  const password = randomBytes(24).toString('base64url');
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(`${password}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  return password;
}

/**
 * Makes the data folder where there is none: beside its place, and then renamed, so that an interrupted start leaves nothing
 * half made behind.
 */
export async function initialiseData(
  folder: string,
  binaries: PostgresBinaries,
  account: PostgresAccount,
  password: string,
): Promise<void> {
  const data = dataFolderIn(folder);
  if (await exists(data)) return checkData(data);
  for (const name of await readdir(folder)) {
    if (name.startsWith('data.new')) await rm(join(folder, name), { recursive: true, force: true });
  }
  const fresh = join(folder, 'data.new');
  const passwordFile = join(folder, 'data.new.password');
  await mkdir(fresh, { mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account.owner) {
    await chown(fresh, account.owner.uid, account.owner.gid);
    await chown(passwordFile, account.owner.uid, account.owner.gid);
  }
  // The builtin locale is the same on every machine and sorts bytewise, which is also the fastest.
  const { command, args, ids } = underAccount(account, binaries.initdb, [
    ...['--pgdata', fresh, '--username', postgresUser, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
    ...['--encoding', 'UTF8', ...(binaries.locale ?? ['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'])],
  ]);
  try {
    await run(command, args, { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }, ...ids });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || describeError(error);
    throw new PermanentError('InitialiseFailed', `the embedded database could not be made in ${folder}: ${said}`, { cause: error });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(fresh, data);
}

async function checkData(data: string): Promise<void> {
  const version = (await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  if (version === majorVersion) return;
  throw new PermanentError(
    'WrongDataFolder',
    version
      ? `${data} was made by PostgreSQL ${version}, and the embedded one is ${majorVersion}. Move it away, or delete it to begin with an empty database.`
      : `${data} is not the data of a PostgreSQL (no readable PG_VERSION). Move it away, or delete it to begin with an empty database.`,
  );
}

/**
 * Clears the way for a start after a SIGKILL. PostgreSQL recognises a stale `postmaster.pid` by itself, except where its process id
 * has been used again meanwhile: so it is removed when no process of that server is left. Sessions that outlived
 * their server, which end by themselves within moments, are waited for.
 */
export async function clearAfterCrash(data: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const left = findByWorkingDirectory(await realpath(data), 'postgres');
    if (left.length === 0) break;
    if (Date.now() >= deadline) {
      const pids = left.map((each) => each.pid).join(', ');
      throw new TransientError('DataInUse', `another PostgreSQL uses ${data} (process ${pids}). Stop it first: kill -INT ${left[0]?.pid}`);
    }
    await delay(50);
  }
  if (process.platform === 'linux') await rm(join(data, 'postmaster.pid'), { force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
