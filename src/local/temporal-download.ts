import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface DownloadOptions {
  /** Version of the CLI, such as `1.5.1`. */
  readonly version: string;
  /** The binary lands here, called `temporal`. */
  readonly folder: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Where to ask. @default 'https://temporal.download' */
  readonly origin?: string;
  /** Longest time without an answer, in milliseconds. @default 5000 */
  readonly silenceMs?: number;
}

/**
 * Downloads the Temporal CLI as the SDK's `cached-download` does (`@temporalio/testing`; the code is in `@temporalio/core-bridge`,
 * `sdk-core/crates/sdk-core/src/ephemeral_server/mod.rs`): asks temporal.download which archive holds the version for this platform, and
 * unpacks it. Done here because the SDK's own can only be had together with a running server, and waits long where there is
 * no way out; this one gives up after a few seconds of silence.
 *
 * @returns Path of the binary.
 */
export async function downloadTemporal(options: DownloadOptions): Promise<string> {
  const { version, folder, origin = 'https://temporal.download', silenceMs = 5000 } = options;
  const silence = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, silence.signal]) : silence.signal;
  const giveUp = () => silence.abort(new Error(`no answer for ${silenceMs / 1000} s`));
  let timer = setTimeout(giveUp, silenceMs);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, silenceMs);
  };
  try {
    const question = `${origin}/cli/v${version}?arch=${architecture()}&platform=${platform()}&format=tar.gz`;
    const answer = (await (await get(question, signal)).json()) as { archiveUrl?: unknown; fileToExtract?: unknown };
    const { archiveUrl, fileToExtract } = answer;
    if (typeof archiveUrl !== 'string' || typeof fileToExtract !== 'string') throw new Error(`${origin} gave an answer without an archive`);
    if (!archiveUrl.startsWith('https:') && !archiveUrl.startsWith(`${origin}/`))
      throw new Error(`${origin} named an archive that is not on https`);
    heard();
    options.onProgress?.(`Downloading the Temporal server ${version} from ${new URL(archiveUrl).host}.`);
    const archive = join(folder, 'temporal.tar.gz');
    const response = await get(archiveUrl, signal);
    if (!response.body) throw new Error(`${archiveUrl} gave an empty answer`);
    const listening = new Transform({
      transform(piece, _encoding, done) {
        heard();
        done(null, piece);
      },
    });
    await pipeline(Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]), listening, createWriteStream(archive), {
      signal,
    });
    clearTimeout(timer);
    await run('tar', ['-xzf', archive, '-C', folder, '--', fileToExtract]);
    await rm(archive);
    return join(folder, fileToExtract);
  } catch (error) {
    signal.throwIfAborted(); // with the reason, not with "aborted"
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    signal.throwIfAborted();
    const cause = (error as Error).cause;
    throw new Error(`${new URL(url).host} cannot be reached${cause instanceof Error ? ` (${cause.message})` : ''}`, { cause: error });
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

function architecture(): string {
  if (process.arch === 'x64') return 'amd64';
  if (process.arch === 'arm64') return 'arm64';
  throw new Error(`there is no download for ${process.arch}`);
}

function platform(): string {
  if (process.platform === 'linux' || process.platform === 'darwin') return process.platform;
  throw new Error(`there is no download for ${process.platform}`);
}
