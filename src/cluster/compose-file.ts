/** Reads docker-compose.yml as far as it says what runs: https://github.com/compose-spec/compose-spec/blob/main/spec.md */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { layOver } from './compose-merge.ts';

/** When a service that another one waits for is far enough. */
export type Awaited = 'service_started' | 'service_healthy' | 'service_completed_successfully';

export interface Mount {
  /** Path in the container. */
  readonly target: string;
  /** Path of a file or folder on this machine; null for a volume. */
  readonly source: string | null;
  /** Name of the volume; null for a file or folder. */
  readonly volume: string | null;
}

export interface ComposeService {
  readonly name: string;
  /** Without its tag. */
  readonly image: string;
  /** The program and its arguments; of the entry point only where the file names one. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly dependsOn: Readonly<Record<string, Awaited>>;
  readonly profiles: readonly string[];
  /** It runs once, and again only where it failed. */
  readonly runsOnce: boolean;
  /** What answers as long as it is well; null where it has no such thing. */
  readonly health: { readonly port: number; readonly path: string } | null;
  /** How long it may take to stop. */
  readonly stopSeconds: number;
}

const service = z.object({
  image: z.string(),
  entrypoint: z.array(z.string()).default([]),
  command: z.array(z.coerce.string()).default([]),
  environment: z.record(z.string(), z.coerce.string()).default({}),
  env_file: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  depends_on: z
    .record(z.string(), z.object({ condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']) }))
    .default({}),
  profiles: z.array(z.string()).default([]),
  restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']).default('no'),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  stop_grace_period: z
    .string()
    .regex(/^\d+s$/)
    .default('10s'),
});

const composeFile = z.object({ services: z.record(z.string(), service) });

/**
 * @param paths later files are laid over earlier ones; relative paths in them begin at the first
 * @param variables for `${NAME}` in the files
 * @throws PermanentError `InvalidCompose`
 */
export async function readComposeFiles(paths: readonly string[], variables: Readonly<Record<string, string>>): Promise<ComposeService[]> {
  const documents = await Promise.all(paths.map(async (path) => interpolate(await readYaml(path), variables)));
  const parsed = composeFile.safeParse(documents.reduce((below, above) => layOver(below, above)));
  if (!parsed.success) throw new PermanentError('InvalidCompose', `${paths.join(', ')}: ${z.prettifyError(parsed.error)}`);
  const folder = dirname(paths[0] ?? '');
  return await Promise.all(Object.entries(parsed.data.services).map(([name, each]) => toService(folder, name, each)));
}

async function readYaml(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new PermanentError('InvalidCompose', `${path} cannot be read: ${error.message}`);
  });
  return parseYaml(text, { merge: true });
}

async function toService(folder: string, name: string, of: z.infer<typeof service>): Promise<ComposeService> {
  const files = await Promise.all(of.env_file.map((file) => readEnvFile(join(folder, file))));
  return {
    name,
    image: of.image.replace(/:[^:/]*$/, ''),
    command: [...of.entrypoint, ...of.command],
    environment: Object.assign({}, ...files, of.environment),
    mounts: of.volumes.map((volume) => toMount(folder, volume)),
    dependsOn: Object.fromEntries(Object.entries(of.depends_on).map(([other, { condition }]) => [other, condition])),
    profiles: of.profiles,
    runsOnce: of.restart === 'on-failure',
    health: toHealth(of.healthcheck?.test.join(' ') ?? ''),
    stopSeconds: Number.parseInt(of.stop_grace_period, 10),
  };
}

/** `NAME=value` a line, and comments. */
export async function readEnvFile(path: string): Promise<Record<string, string>> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => /^\w+=/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

function toMount(folder: string, volume: string): Mount {
  const [from = '', target = ''] = volume.split(':');
  return from.startsWith('.') ? { target, source: join(folder, from), volume: null } : { target, source: null, volume: from };
}

/** The URL that the health check asks, whatever it asks with. */
function toHealth(test: string): ComposeService['health'] {
  const found = /http:\/\/[^\s:/]+:(\d+)(\/[^\s"']*)?/.exec(test);
  return found ? { port: Number(found[1]), path: found[2] ?? '/health' } : null;
}

const VARIABLE = /\$(?:\$|\{(\w+)(?::([?-])([^}]*))?\})/g;

function interpolate(value: unknown, variables: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    return value.replace(VARIABLE, (all, name?: string, kind?: string, rest = '') => {
      if (name === undefined) return all === '$$' ? '$' : all;
      const known = variables[name];
      if (known) return known;
      if (kind === '?') throw new PermanentError('InvalidCompose', `${name} is not set: ${rest}`);
      return kind === '-' ? rest : '';
    });
  }
  if (Array.isArray(value)) return value.map((each) => interpolate(each, variables));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, interpolate(each, variables)]));
}
