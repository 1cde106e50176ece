import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface GoInstallOptions {
  /** Version of the CLI, such as `1.5.1`. */
  readonly version: string;
  /** The binary lands here, called `temporal`. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

const reportEveryMs = 30_000;

/**
 * Compiles the Temporal CLI with the Go toolchain on the PATH: about four minutes on two cores the first time.
 *
 * @returns Path of the binary.
 */
export async function goInstallTemporal(options: GoInstallOptions): Promise<string> {
  const { version, folder, onProgress } = options;
  await mkdir(folder, { recursive: true });
  const args = ['install', '-trimpath', '-ldflags', '-s -w', `github.com/temporalio/cli/cmd/temporal@v${version}`];
  const begin = Date.now();
  const child = spawn('go', args, {
    cwd: folder, // outside of any Go module
    env: { ...options.env, GOBIN: folder, GOOS: '', GOARCH: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: options.signal,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-8000);
  });
  const reporting = setInterval(() => {
    onProgress?.(`Still compiling the Temporal server (${duration(Date.now() - begin)} so far, of about 4 min on two cores).`);
  }, reportEveryMs);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', () => {
        onProgress?.(
          `Compiling the Temporal server ${version} with go install: about 4 minutes on two cores, and only this once; it is kept in the cache.`,
        );
      });
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'ENOENT' ? new Error('there is no Go toolchain (no `go` on the PATH)') : error);
      });
      child.once('close', (code, signal) => {
        if (code === 0) return resolve();
        const last = said.trimEnd().split('\n').slice(-3).join('\n');
        reject(new Error(`\`go ${args.join(' ')}\` ${signal ? `was ended by ${signal}` : `ended with status ${code}`}: ${last}`));
      });
    });
  } finally {
    clearInterval(reporting);
  }
  onProgress?.(`Compiled the Temporal server in ${duration(Date.now() - begin)}.`);
  return join(folder, 'temporal');
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
