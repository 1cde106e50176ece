import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { describeError, PermanentError } from '../errors.ts';

const run = promisify(execFile);

/** Whom PostgreSQL runs as, and what stands before its command line for that. */
export interface PostgresAccount {
  /** Owner of the data; null where it is the user that we are ourselves. */
  readonly owner: UserIds | null;
  /** What becomes the owner when a program is started, where the kernel is not simply told to. */
  readonly wrapper: readonly string[];
}

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** A command line and the ids to spawn it with. */
export interface AccountCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly ids: Partial<UserIds>;
}

/** How a program is started under an account. */
export function underAccount({ owner, wrapper }: PostgresAccount, program: string, args: readonly string[]): AccountCommand {
  const [command, ...rest] = [...wrapper, program, ...args] as [string, ...string[]];
  return { command, args: rest, ids: owner && wrapper.length === 0 ? owner : {} };
}

/**
 * Chooses the account for PostgreSQL. An ordinary user runs it himself. Root runs it as the owner of the data that is there already, else as the
 * user `postgres`, which is created where it does not exist.
 *
 * A root whose folders are closed to others (a clone below /root) gives it the one capability to look into them.
 *
 * @param needed - existing paths it has to reach: the programs, and the folder of the data.
 * @throws PermanentError `NoPostgresUser`, `PostgresCannotReach`.
 */
export async function choosePostgresAccount(
  needed: readonly string[],
  dataFolder: string,
  onProgress?: (message: string) => void,
): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { owner: null, wrapper: [] };
  const user = (await ownerOf(dataFolder)) ?? (await userIds()) ?? (await createUser(onProgress));
  const plain: PostgresAccount = { owner: user, wrapper: [] };
  const blocked = await firstBlocked(needed, plain);
  if (!blocked) return plain;
  for (const capability of ['dac_read_search', 'dac_override']) {
    const account: PostgresAccount = { owner: user, wrapper: setprivCommand(user, capability) };
    if (await firstBlocked(needed, account)) continue;
    onProgress?.(
      `${blocked} is closed to the user that PostgreSQL runs as (uid ${user.uid}); starting it with the capability ${capability}.`,
    );
    return account;
  }
  throw new PermanentError(
    'PostgresCannotReach',
    `PostgreSQL does not run as root, and the user it runs as (uid ${user.uid}) may not enter ${blocked}. Move the project to a folder that others may enter (such as /srv or /opt), or open this one (chmod o+x ${blocked}), or start Sluice as an ordinary user, or set SLUICE_DATABASE_URL to a database of your own.`,
  );
}

/** The non-root owner of a data folder of an earlier start. */
async function ownerOf(dataFolder: string): Promise<UserIds | null> {
  const found = await stat(dataFolder).catch(() => null);
  return found && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : null;
}

async function userIds(): Promise<UserIds | null> {
  try {
    const [uid, gid] = await Promise.all(['-u', '-g'].map(async (which) => Number((await run('id', [which, 'postgres'])).stdout)));
    return uid && gid !== undefined ? { uid, gid } : null;
  } catch {
    return null;
  }
}

async function createUser(onProgress?: (message: string) => void): Promise<UserIds> {
  onProgress?.('Creating the system user postgres: PostgreSQL does not run as root.');
  let reason = '';
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
  } catch (error) {
    reason = describeError(error); // perhaps another process was quicker
  }
  const created = await userIds();
  if (created) return created;
  throw new PermanentError(
    'NoPostgresUser',
    `PostgreSQL does not run as root, and the user postgres could not be created (${reason.trim()}). Create it (useradd --system postgres), or start Sluice as an ordinary user, or set SLUICE_DATABASE_URL to a database of your own.`,
  );
}

/**
 * setpriv(1) of util-linux: another user, and of root's capabilities this one only. Without `no_setuid_fixup` access(2), by which initdb
 * looks for its programs, would leave the capability out of account (capabilities(7)).
 */
function setprivCommand({ uid, gid }: UserIds, capability: string): string[] {
  const only = `-all,+${capability}`;
  return [
    'setpriv',
    '--reuid',
    String(uid),
    '--regid',
    String(gid),
    '--clear-groups',
    '--securebits',
    '+no_setuid_fixup',
    '--inh-caps',
    only,
    '--ambient-caps',
    only,
    '--bounding-set',
    only,
  ];
}

/** The first folder on the way to one of the paths that the account may not enter; really tried, so that ACLs count. */
async function firstBlocked(paths: readonly string[], account: PostgresAccount): Promise<string | null> {
  for (const path of paths) {
    const folders: string[] = [];
    let folder = (await isFolder(path)) ? path : dirname(path);
    for (; ; folder = dirname(folder)) {
      folders.unshift(folder);
      if (folder === dirname(folder)) break;
    }
    if (await mayEnter(folders.at(-1) as string, account)) continue;
    for (const each of folders) {
      if (!(await mayEnter(each, account))) return each;
    }
  }
  return null;
}

async function mayEnter(folder: string, account: PostgresAccount): Promise<boolean> {
  const { command, args, ids } = underAccount(account, '/bin/sh', ['-c', 'cd "$0"', folder]);
  try {
    await run(command, args, { cwd: '/', ...ids });
    return true;
  } catch {
    return false;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}
