import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describeError, PermanentError } from '../errors.ts';
import { cacheFolder } from './cache-folder.ts';
import { withFolderLock } from './folder-lock.ts';
import { downloadTemporal } from './temporal-download.ts';
import { goInstallTemporal } from './temporal-go-install.ts';

const run = promisify(execFile);

/** The pinned version of the Temporal CLI; 1.9.1 and others with replace directives cannot be had by `go install`. */
export const temporalCliVersion = '1.5.1';

/** The Temporal CLI, and where it came from. */
export interface TemporalBinary {
  readonly path: string;
  /** What `temporal --version` says. */
  readonly version: string;
  readonly source: 'path' | 'cache' | 'download' | 'go';
}

export interface FindTemporalOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Told what is happening where it takes long. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** How to make a binary in a folder when there is none yet; for tests. */
  readonly makers?: readonly TemporalMaker[];
}

/** A way to get the binary. */
export interface TemporalMaker {
  readonly source: 'download' | 'go';
  /** For people, as the subject of `... : why it failed`. */
  readonly title: string;
  /** Makes the binary somewhere in `folder` and returns its path. */
  readonly make: (folder: string) => Promise<string>;
}

/**
 * Finds the Temporal CLI, first that works: `temporal` on the PATH, the cache of an earlier run, the download of the SDK, `go install`.
 *
 * What is got is put into the cache in one rename; of two processes at once the second waits and uses what the first made.
 *
 * @throws PermanentError `NoTemporalServer`: one message with all that was tried, and what to do.
 */
export async function findTemporalBinary(options: FindTemporalOptions = {}): Promise<TemporalBinary> {
  const { env = process.env } = options;
  const failures: string[] = [];

  const onPath = await findOnPath(env, failures);
  if (onPath) return onPath;

  const folder = join(cacheFolder(env), `temporal-${temporalCliVersion}`);
  const cached = join(folder, 'temporal');
  if (await isExecutable(cached)) {
    const found = await tryBinary(cached, 'cache', failures);
    if (found) return found;
  }
  try {
    return await withFolderLock(folder, () => fillCache(folder, options, failures), {
      signal: options.signal,
      onWait: (holder) => options.onProgress?.(`Waiting for ${holder}, which is getting the Temporal server.`),
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof PermanentError) throw error;
    failures.push(`the cache ${folder}: ${describeError(error)}`);
    throw nothingWorked(failures, folder);
  }
}

async function fillCache(folder: string, options: FindTemporalOptions, failures: string[]): Promise<TemporalBinary> {
  const cached = join(folder, 'temporal');
  if (await isExecutable(cached)) {
    const found = await tryBinary(cached, 'cache', []); // made while we waited
    if (found) return found;
  } else {
    failures.push(`the cache: there is no ${cached}`);
  }
  for (const maker of options.makers ?? defaultMakers(options)) {
    options.signal?.throwIfAborted();
    const workplace = await mkdtemp(join(folder, 'new-'));
    try {
      const made = await maker.make(workplace);
      await chmod(made, 0o755);
      await versionOf(made);
      await rename(made, cached);
    } catch (error) {
      options.signal?.throwIfAborted();
      failures.push(`${maker.title}: ${describeError(error)}`);
      continue;
    } finally {
      await rm(workplace, { recursive: true, force: true });
    }
    return { path: cached, version: await versionOf(cached), source: maker.source };
  }
  throw nothingWorked(failures, folder);
}

function defaultMakers(options: FindTemporalOptions): TemporalMaker[] {
  const { env = process.env, onProgress, signal } = options;
  const version = temporalCliVersion;
  return [
    {
      source: 'download',
      title: "the download that Temporal's SDK offers",
      make: (folder) => downloadTemporal({ version, folder, onProgress, signal }),
    },
    { source: 'go', title: 'go install', make: (folder) => goInstallTemporal({ version, folder, env, onProgress, signal }) },
  ];
}

function nothingWorked(failures: readonly string[], folder: string): PermanentError {
  return new PermanentError(
    'NoTemporalServer',
    [
      'No Temporal server can be started here. Tried, in this order:',
      ...failures.map((failure) => `  - ${failure.replaceAll('\n', '\n    ')}`),
      'Do one of these:',
      '  - point TEMPORAL_ADDRESS at a Temporal service that runs already, such as TEMPORAL_ADDRESS=localhost:7233;',
      '  - install the Temporal CLI so that `temporal` is on the PATH (https://docs.temporal.io/cli/setup-cli);',
      `  - put its binary at ${join(folder, 'temporal')};`,
      '  - install Go (https://go.dev/dl) and let it reach a module proxy; it is then compiled here in about 4 minutes.',
    ].join('\n'),
  );
}

async function findOnPath(env: NodeJS.ProcessEnv, failures: string[]): Promise<TemporalBinary | null> {
  let present = false;
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (!folder) continue;
    const path = resolve(folder, 'temporal');
    if (!(await isExecutable(path))) continue;
    present = true;
    const found = await tryBinary(path, 'path', failures);
    if (found) return found;
  }
  if (!present) failures.push('`temporal` on the PATH: there is none');
  return null;
}

async function tryBinary(path: string, source: TemporalBinary['source'], failures: string[]): Promise<TemporalBinary | null> {
  try {
    return { path, version: await versionOf(path), source };
  } catch (error) {
    failures.push(`${path}: ${describeError(error)}`);
    return null;
  }
}

/** What the binary says of itself; throws when it is not a Temporal CLI that runs here. */
async function versionOf(path: string): Promise<string> {
  let said: string;
  try {
    said = (await run(path, ['--version'], { timeout: 15_000 })).stdout.trim();
  } catch (error) {
    const { code, signal } = error as { code?: unknown; signal?: unknown };
    throw new Error(`it does not run (${signal ? `ended by ${signal}` : typeof code === 'number' ? `status ${code}` : String(code)})`, {
      cause: error,
    });
  }
  if (!/temporal/i.test(said))
    throw new Error(`it does not seem to be the Temporal CLI (\`--version\` says ${JSON.stringify(said.slice(0, 80))})`);
  return said;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
