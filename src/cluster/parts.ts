/** The services of docker-compose.yml as processes: command line, environment, files and folders of each. */
import { chmod, chown, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { choosePostgresAccount, type PostgresAccount, underAccount } from '../local/postgres-account.ts';
import { clusterSecrets, type WantedCluster } from './cluster-file.ts';
import { type ComposeService, readComposeFiles } from './compose-file.ts';
import { addressesIn } from './network.ts';
import { dataFolder } from './postmaster.ts';
import { type FoundProgram, hasProgram } from './programs.ts';
import { type Rendering, render } from './rendering.ts';

/** One process of a cluster. */
export interface Part {
  readonly name: string;
  readonly service: ComposeService;
  readonly address: string;
  readonly logFile: string;
  /** Its volumes, by the path that they have in a container. */
  readonly volumes: ReadonlyMap<string, string>;
}

/** A part that can be started. */
export interface PartCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** The folder beside docker-compose.yml whose files are rendered; what else is mounted is the user's pipelines. */
const RENDERED = 'deploy';

/** What of a cluster says which services it has. */
export type WantedServices = Pick<WantedCluster, 'composeFiles' | 'variables' | 'profiles' | 'workers'>;

/** The services that are wanted and can be processes, in the order of the file. */
export async function wantedServices(folder: string, wanted: WantedServices): Promise<ComposeService[]> {
  const services = await readComposeFiles(wanted.composeFiles, { ...(await clusterSecrets(folder)), ...wanted.variables });
  const chosen = services.filter(
    (each) => hasProgram(each) && (each.profiles.length === 0 || each.profiles.some((profile) => wanted.profiles.includes(profile))),
  );
  return withWorkers(chosen, wanted.workers);
}

const WORKER = /^(.*worker)(\d+)$/;

/** As many workers as are wanted: those of the file, in turn. */
function withWorkers(services: readonly ComposeService[], count: number): ComposeService[] {
  const workers = services.filter(({ name }) => WORKER.test(name));
  const others = services.filter(({ name }) => !WORKER.test(name));
  const made = Array.from({ length: workers.length === 0 ? 0 : count }, (_, nth) => {
    const model = workers[nth % workers.length] as ComposeService;
    return { ...model, name: model.name.replace(WORKER, (_all, kind: string) => `${kind}${nth + 1}`) };
  });
  return [...others, ...made];
}

/** Where the parts are. Parts that are wanted later do not move the others. */
export function placeParts(folder: string, wanted: WantedCluster, services: readonly ComposeService[]): Part[] {
  const addresses = addressesIn(
    wanted.network,
    services.map(({ name }) => name),
  );
  return services.map((service) => ({
    name: service.name,
    service,
    address: addresses.get(service.name) as string,
    logFile: join(folder, 'logs', `${service.name}.log`),
    volumes: new Map(
      service.mounts.flatMap(({ target, volume }) => (volume === null ? [] : [[target, join(folder, 'volumes', volume)] as const])),
    ),
  }));
}

/** Addresses of the parts of all regions, by the names that they have everywhere: `REGION-NAME`. */
export function regionalAddresses({ regions }: WantedCluster, parts: readonly Part[]): Map<string, string> {
  const names = parts.map(({ name }) => name);
  return new Map(
    Object.entries(regions).flatMap(([region, network]) =>
      [...addressesIn(network, names)].map(([name, address]): [string, string] => [`${region}-${name}`, address]),
    ),
  );
}

/** What is where. */
export interface Whereabouts {
  readonly folder: string;
  readonly wanted: WantedCluster;
  readonly addresses: ReadonlyMap<string, string>;
  readonly regional: ReadonlyMap<string, string>;
}

export interface PrepareOptions extends Whereabouts {
  readonly program: FoundProgram;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (message: string) => void;
}

/** Where the parts of a cluster find one another. */
export function whereabouts(folder: string, wanted: WantedCluster, parts: readonly Part[]): Whereabouts {
  return {
    folder,
    wanted,
    addresses: new Map(parts.map(({ name, address }) => [name, address])),
    regional: regionalAddresses(wanted, parts),
  };
}

/** Makes the folders of a part, and writes its configuration. */
export async function preparePart(part: Part, options: PrepareOptions): Promise<PartCommand> {
  const { program } = options;
  const account = program.unprivileged ? await accountOf(part, program, options) : { owner: null, wrapper: [] };
  const { rendering, files } = layOut(part, options);
  for (const [source, copy] of files) await renderFiles(source, copy, rendering);
  await mkdir(dirname(part.logFile), { recursive: true });
  const [command = '', ...args] = program.command.map((text) => render(text, rendering));
  const started = underAccount(account, command, args);
  return {
    command: started.command,
    args: started.args,
    // What is a user's own runs where he is.
    cwd: program.own ? options.wanted.cwd : '/',
    env: { HOME: options.env.HOME, LANG: 'C.UTF-8', TZ: 'UTC', ...environmentOf(part, rendering, options) },
    ...started.ids,
  };
}

/** What is in the environment of a part beside the user's own. */
export function partEnvironment(
  part: Part,
  options: Whereabouts & Pick<PrepareOptions, 'program' | 'env'>,
): Record<string, string | undefined> {
  return environmentOf(part, layOut(part, options).rendering, options);
}

function environmentOf(
  part: Part,
  rendering: Rendering,
  { program, env }: Pick<PrepareOptions, 'program' | 'env'>,
): Record<string, string | undefined> {
  const own = Object.entries(part.service.environment).map(([name, value]): [string, string] => [name, render(value, rendering)]);
  return { PATH: [...program.path, env.PATH].join(':'), ...Object.fromEntries(own) };
}

/** What stands for the paths and addresses of a part's container, and which files are made for it. */
function layOut(
  part: Part,
  { folder, wanted, addresses, regional }: Whereabouts,
): { readonly rendering: Rendering; readonly files: readonly (readonly [source: string, copy: string])[] } {
  const configuration = join(dirname(wanted.composeFiles[0] ?? ''), RENDERED) + sep;
  const written = join(folder, 'rendered', part.name);
  const paths = new Map<string, string>(part.volumes);
  const files: [source: string, copy: string][] = [];
  for (const { target, source } of part.service.mounts) {
    if (source === null) continue;
    const isRendered = source.startsWith(configuration);
    const path = isRendered ? join(written, basename(target)) : wanted.pipelines;
    paths.set(target, path);
    if (!isRendered) continue;
    // A folder of the container that is Sluice's own, and not /etc itself.
    if (dirname(target).lastIndexOf('/') > 0) paths.set(dirname(target), written);
    files.push([source, path]);
  }
  return { rendering: { own: part.address, addresses, regional, paths }, files };
}

async function accountOf(part: Part, program: FoundProgram, { folder, onProgress }: PrepareOptions): Promise<PostgresAccount> {
  const [home = folder] = part.volumes.values();
  await mkdir(home, { recursive: true });
  for (const each of [folder, join(folder, 'volumes')]) await chmod(each, 0o755);
  const account = await choosePostgresAccount([program.command[0] as string, home], dataFolder(home), onProgress);
  if (account.owner) await chown(home, account.owner.uid, account.owner.gid);
  return account;
}

async function renderFiles(source: string, target: string, rendering: Rendering): Promise<void> {
  const found = await stat(source);
  if (found.isDirectory()) {
    await rm(target, { recursive: true, force: true });
    for (const name of await readdir(source)) await renderFiles(join(source, name), join(target, name), rendering);
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  if (/\.(ya?ml|cfg|sh|env)$/.test(source)) await writeFile(target, render(await readFile(source, 'utf8'), rendering));
  else await cp(source, target);
  await chmod(target, found.mode & 0o755);
}
