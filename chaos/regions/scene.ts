/** Two regions of the suite's own, a source that belongs to neither, and the commands as a user gives them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { killCluster } from '../../src/cluster/cluster.ts';
import { clusterSecrets, readCluster } from '../../src/cluster/cluster-file.ts';
import { regionFolder } from '../../src/cluster/regions.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { startPostgresServer } from '../../src/local/postgres-server.ts';
import { Regions } from '../../src/regions/regions.ts';
import { prepareData } from '../data.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Rows of `departures`, of which a run copies all or the first of. */
export const ROWS = 150_000;

export class RegionsScene {
  readonly env: NodeJS.ProcessEnv;
  readonly regions: Regions;
  /** As a superuser of neither region's. */
  readonly source: Database;
  readonly #folder: string;

  private constructor(folder: string, env: NodeJS.ProcessEnv, regions: Regions, source: Database) {
    this.#folder = folder;
    this.env = env;
    this.regions = regions;
    this.source = source;
  }

  /** @param cleanups told how to stop it, as far as it is started */
  static async start(cleanups: (() => Promise<unknown>)[], say: (message: string) => void): Promise<RegionsScene> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-regions-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await run('chmod', ['755', folder]);
    const server = await startPostgresServer({ folder: join(folder, 'source'), logFile: join(folder, 'source.log') });
    cleanups.push(() => server.stop('immediate'));
    say('preparing the data');
    await prepareData(server.url, join(folder, 'files'));
    await mkdir(join(folder, 'pipelines'));
    await writeFile(join(folder, 'pipelines/regions.ts'), pipelines(server.url));
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TEMPORAL|SLUICE)_/.test(name)));
    cleanups.push(() => sluice(folder, env, 'cluster', 'down'));
    say(`starting two regions in ${folder}`);
    const { environment } = await sluice(folder, env, 'cluster', 'up', '--regions', 'a,b', '--no-observability');
    const all = { ...env, ...(environment as NodeJS.ProcessEnv) };
    const regions = await Regions.open(all);
    cleanups.push(() => regions.close());
    const source = new Database('source', server.url, { max: 2 });
    cleanups.push(() => source.close());
    return new RegionsScene(folder, all, regions, source);
  }

  /** A command of `sluice`, and what it answers. */
  async sluice(...args: string[]): Promise<Record<string, unknown>> {
    return await sluice(this.#folder, this.env, ...args);
  }

  /** A command that dies as it says this. @returns whether it has died */
  async sluiceKilledAt(saying: RegExp, ...args: string[]): Promise<boolean> {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: this.#folder, env: this.env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said += piece;
      if (saying.test(said)) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'exit');
    return signal === 'SIGKILL';
  }

  /** All processes of a region at once. */
  async kill(region: string): Promise<void> {
    await killCluster(this.folderOf(region));
  }

  folderOf(region: string): string {
    return regionFolder(join(this.#folder, '.sluice/cluster'), region);
  }

  /** The target's server of a region, whatever it is. */
  target(region: string): Database {
    return this.regions.target(region).database();
  }

  /** The same without any proxy, as superuser. The caller closes it. */
  async direct(region: string): Promise<Database> {
    const folder = this.folderOf(region);
    const address = (await readCluster(folder))?.parts.target?.address;
    const { POSTGRES_PASSWORD } = await clusterSecrets(folder);
    return new Database('target', `postgres://postgres:${POSTGRES_PASSWORD}@${address}:5432/sluice`, { max: 1, anyServer: true });
  }

  /** What went wrong is to be looked into. */
  async keepLogs(folder: string, hasFailed: () => boolean): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    if (!hasFailed()) return;
    for (const { name } of this.regions.all) await cp(join(this.folderOf(name), 'logs'), join(folder, name), { recursive: true });
  }

  async log(region: string, part: string): Promise<string> {
    return await readFile(join(this.folderOf(region), 'logs', `${part}.log`), 'utf8');
  }

  /** Where the namespace is active. */
  async active(): Promise<string> {
    return await until('a region is active', async () => (await this.regions.newestView())?.active, 60_000);
  }
}

async function sluice(folder: string, env: NodeJS.ProcessEnv, ...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [CLI, ...args, '--json'], { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: { stdout?: string; message: string }) => {
      throw new Error(`sluice ${args.join(' ')}: ${error.stdout?.trimEnd().split('\n').at(-1) || error.message}`);
    },
  );
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

/** Rows are appended: one that comes twice is there twice. Several write at once, in chunks so small that a run outlasts what is done to it. */
function pipelines(url: string): string {
  return `
import { definePipeline, keyRange, postgres } from 'sluice';
import { z } from 'zod';

const params = z.object({ table: z.string(), rows: z.int().default(${ROWS}) });
const common = {
  params,
  source: ({ rows }) => postgres({ url: '${url}', query: \`select * from departures where id <= \${rows}\`, key: ['id'] }),
  chunk: { rows: 125 },
  concurrency: 4,
  target: ({ table }) => postgres({ table, mode: 'append', swap: 'never' }),
};

export default [
  definePipeline({ ...common, name: 'by-partition', commit: 'partition', partitionBy: keyRange('id', 3_000) }),
  definePipeline({ ...common, name: 'at-once', partitionBy: keyRange('id', 10_000) }),
];
`;
}

/** Waits for a condition, with a limit. */
export async function until<T>(what: string, look: () => Promise<T | null | undefined | false>, limitMs: number): Promise<T> {
  const deadline = Date.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain until ${what}${last ? `: ${last}` : ''}`);
    await delay(50);
  }
}
