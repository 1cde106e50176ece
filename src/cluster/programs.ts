/** Which program of this machine stands for an image, and how to get it. */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeError, PermanentError } from '../errors.ts';
import { cacheFolder } from '../local/cache-folder.ts';
import type { ComposeService } from './compose-file.ts';

const run = promisify(execFile);

type Source =
  | { readonly apt: readonly string[] }
  | { readonly go: string; readonly version: string }
  /** Python packages, in an environment of their own. */
  | { readonly pip: readonly string[]; readonly version: string; readonly apt: readonly string[] }
  | { readonly own: string };

interface Program {
  /** What the image calls it. */
  readonly name: string;
  /** What it is called here, where that is different. */
  readonly alias?: string;
  /** The image's entry point is the program, and the file names arguments only. */
  readonly implied?: true;
  /** It does not run as root. */
  readonly unprivileged?: true;
  readonly from: Source;
}

const TEMPORAL = '1.32.1';
const PATRONI = '4.1.5';
const CLI = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** By image. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  'quay.io/coreos/etcd': { name: 'etcd', from: { apt: ['etcd-server', 'etcd-client'] } },
  // Debian's own Patroni takes the leader's lock back from its successor: docs/decisions/0008-patroni-is-pinned.md
  'sluice-postgres': {
    ...{ name: 'patroni', unprivileged: true },
    from: {
      ...{ pip: [`patroni[psycopg3,etcd3]==${PATRONI}`, 'psycopg[binary]==3.3.9'], version: PATRONI },
      apt: ['postgresql', 'postgresql-client', 'python3-venv'],
    },
  },
  haproxy: { name: 'haproxy', from: { apt: ['haproxy'] } },
  'temporalio/server': { name: 'temporal-server', from: { go: 'go.temporal.io/server/cmd/server', version: TEMPORAL } },
  'temporalio/admin-tools': { name: 'temporal-sql-tool', from: { go: 'go.temporal.io/server/cmd/tools/sql', version: TEMPORAL } },
  'temporalio/ui': {
    ...{ name: './ui-server', alias: 'temporal-ui' },
    from: { go: 'github.com/temporalio/ui-server/v2/cmd/server', version: '2.55.0' },
  },
  'prom/prometheus': { name: 'prometheus', implied: true, from: { apt: ['prometheus'] } },
  'prom/alertmanager': {
    name: 'alertmanager',
    alias: 'prometheus-alertmanager',
    implied: true,
    from: { apt: ['prometheus-alertmanager'] },
  },
  sluice: { name: 'sluice', implied: true, from: { own: CLI } },
};

/** That of python3-venv: one in somebody's home could not be run by the user postgres. */
const SYSTEM_PYTHON = '/usr/bin/python3';

/** Debian keeps the programs of PostgreSQL apart from the others. */
const POSTGRES_FOLDER = '/usr/lib/postgresql';

/** False for what is run by Docker only. */
export function hasProgram({ image }: ComposeService): boolean {
  return image in PROGRAMS;
}

export interface FoundProgram {
  readonly command: readonly string[];
  /** Folders that its PATH begins with. */
  readonly path: readonly string[];
  readonly unprivileged: boolean;
  /** It is Sluice itself. */
  readonly own: boolean;
}

export interface MissingProgram {
  readonly part: string;
  readonly program: string;
  /** The command that brings it. */
  readonly install: string;
  readonly from: Source;
}

/** The command lines of services, or what is missing for them. */
export async function findPrograms(
  services: readonly ComposeService[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly found: Map<string, FoundProgram>; readonly missing: MissingProgram[] }> {
  const found = new Map<string, FoundProgram>();
  const missing: MissingProgram[] = [];
  const postgres = await postgresFolders();
  const folders = [...programFolders(env), ...postgres];
  for (const service of services) {
    const program = PROGRAMS[service.image];
    if (!program) continue;
    const { name, alias, implied, unprivileged = false, from } = program;
    // What is pinned is of that version, and not whatever else is on the machine.
    const where = 'version' in from ? programFolders(env) : [...folders, ...(env.PATH ?? '').split(delimiter)];
    const here = 'own' in from ? process.execPath : await find(alias ?? name, where);
    // Patroni alone is not enough: it starts PostgreSQL.
    const lacks = here === null || (name === 'patroni' && postgres.length === 0);
    if (lacks) {
      missing.push({ part: service.name, program: alias ?? name, install: installCommand(program, env), from });
      continue;
    }
    const own = 'own' in from ? [here, from.own] : [here];
    const rest = implied ? service.command : service.command[0] === name ? service.command.slice(1) : null;
    found.set(service.name, {
      command: rest === null ? service.command : [...own, ...rest],
      path: folders,
      unprivileged,
      own: 'own' in from,
    });
  }
  return { found, missing };
}

/** @throws PermanentError `MissingPrograms` with the commands that bring them */
export function requireAll(missing: readonly MissingProgram[]): void {
  if (missing.length === 0) return;
  const lines = [...new Set(missing.map(({ program, install }) => `  ${program.padEnd(24)} ${install}`))];
  throw new PermanentError(
    'MissingPrograms',
    `Programs of the cluster are missing on this machine:\n${lines.join('\n')}\nInstall them, or let "sluice cluster up --install" do it.`,
  );
}

/** @throws PermanentError `CannotInstall` */
export async function installPrograms(
  missing: readonly MissingProgram[],
  env: NodeJS.ProcessEnv,
  say: (message: string) => void,
): Promise<void> {
  const packages = [...new Set(missing.flatMap(({ from }) => ('apt' in from ? from.apt : [])))];
  if (packages.length > 0) {
    say(`Installing ${packages.join(', ')} with apt-get.`);
    const apt = (...args: string[]) => attempt('apt-get', args, { ...env, DEBIAN_FRONTEND: 'noninteractive' });
    await apt('update', '-qq');
    await apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
  }
  for (const { program, from } of missing) {
    if (!('pip' in from)) continue;
    const folder = programFolder(program, from.version, env);
    await attempt(SYSTEM_PYTHON, ['-m', 'venv', folder], env);
    await attempt(join(folder, 'bin/pip'), ['install', '--quiet', ...from.pip], env);
  }
  const programs = new Map(missing.flatMap(({ from, program }) => ('go' in from ? [[program, from]] : [])));
  for (const [name, { go, version }] of programs) {
    say(`Compiling ${name} ${version} with go install: some minutes, and only this once; it is kept in the cache.`);
    const folder = programFolder(name, version, env);
    await mkdir(folder, { recursive: true });
    await attempt('go', ['install', '-trimpath', '-ldflags', '-s -w', `${go}@v${version}`], {
      ...env,
      GOBIN: folder,
      GOOS: '',
      GOARCH: '',
    });
    // Go names it after its folder in the source.
    const [made = ''] = await readdir(folder);
    await rename(join(folder, made), join(folder, name));
  }
}

/** Where to get what gets the rest. */
const WHENCE: Readonly<Record<string, string>> = {
  go: 'Get Go 1.26 or newer from https://go.dev/dl/.',
  'apt-get': 'This works on Debian and its kin; elsewhere, install the programs that "sluice cluster up" names.',
};

async function attempt(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await run(command, args, { env, cwd: '/', maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? `there is no ${command} on this machine. ${WHENCE[command] ?? ''}` : describeError(error).slice(-800);
    throw new PermanentError('CannotInstall', `\`${command} ${args.join(' ')}\` failed: ${why.trimEnd()}`, { cause: error });
  }
}

/** Versions stand beside one another in the cache. */
function programFolder(name: string, version: string, env: NodeJS.ProcessEnv): string {
  return join(cacheFolder(env), `${name}-${version}`);
}

function programFolders(env: NodeJS.ProcessEnv): string[] {
  return Object.values(PROGRAMS).flatMap(({ name, alias, from }) => {
    if (!('version' in from)) return [];
    const folder = programFolder(alias ?? name, from.version, env);
    return ['pip' in from ? join(folder, 'bin') : folder];
  });
}

/** What is pinned is looked for in the cache, and nowhere else. */
function installCommand({ name, alias, from }: Program, env: NodeJS.ProcessEnv): string {
  if ('own' in from) return '';
  const packages = 'apt' in from ? `apt-get install ${from.apt.join(' ')}` : '';
  if (!('version' in from)) return packages;
  const program = alias ?? name;
  const folder = programFolder(program, from.version, env);
  if ('pip' in from) return `${packages} && ${SYSTEM_PYTHON} -m venv ${folder} && ${folder}/bin/pip install '${from.pip.join("' '")}'`;
  return `GOBIN=${folder} go install ${from.go}@v${from.version} && mv ${folder}/${basename(from.go)} ${folder}/${program}`;
}

async function postgresFolders(): Promise<string[]> {
  const versions = await readdir(POSTGRES_FOLDER).catch(() => []);
  // A link or two on the PATH are not enough: initdb and pg_ctl are only there.
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(POSTGRES_FOLDER, version, 'bin'));
  const usable: string[] = [];
  for (const folder of folders) if (await isExecutable(join(folder, 'pg_basebackup'))) usable.push(folder);
  return usable.slice(0, 1);
}

async function find(name: string, folders: readonly string[]): Promise<string | null> {
  for (const folder of folders) if (folder && (await isExecutable(join(folder, name)))) return join(folder, name);
  return null;
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
