import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The Compose command alone, without Docker: compiled once a machine. */
export async function dockerCompose(): Promise<string> {
  const version = '5.0.2';
  const bin = join(process.env.SLUICE_CACHE_DIR ?? join(process.env.HOME ?? '/tmp', '.cache/sluice'), `docker-compose-${version}`);
  const there = await run(join(bin, 'cmd'), ['version']).catch(() => null);
  if (!there)
    await run('go', ['install', '-trimpath', '-ldflags', '-s -w', `github.com/docker/compose/v5/cmd@v${version}`], {
      env: { ...process.env, GOBIN: bin },
    });
  return join(bin, 'cmd');
}
