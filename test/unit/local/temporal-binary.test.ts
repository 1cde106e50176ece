import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from '../../../src/local/cache-folder.ts';
import { findTemporalBinary, type TemporalMaker, temporalCliVersion } from '../../../src/local/temporal-binary.ts';
import { downloadTemporal } from '../../../src/local/temporal-download.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-binary-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A program that answers `--version` like the Temporal CLI, or fails. */
async function putProgram(path: string, version: string, status = 0): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "temporal version ${version}"\nexit ${status}\n`);
  await chmod(path, 0o755);
}

const pathFolder = () => join(folder, 'bin');
const cached = () => join(folder, 'cache', `temporal-${temporalCliVersion}`, 'temporal');
const env = () => ({ PATH: pathFolder(), SLUICE_CACHE_DIR: join(folder, 'cache') });

function maker(source: 'download' | 'go', work: (into: string) => Promise<void>): TemporalMaker & { calls: number } {
  const made = {
    source,
    title: source,
    calls: 0,
    make: async (into: string) => {
      made.calls++;
      await work(join(into, 'temporal'));
      return join(into, 'temporal');
    },
  };
  return made;
}
const failing = (source: 'download' | 'go', reason: string) =>
  maker(source, async () => {
    throw new Error(reason);
  });

describe('the cache folder', () => {
  test('is the one named, else that of the desktop standard, else below the home folder', () => {
    expect(cacheFolder({ SLUICE_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b', HOME: '/c' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b', HOME: '/c' })).toBe('/b/sluice');
    expect(cacheFolder({ HOME: '/c' })).toBe('/c/.cache/sluice');
  });
});

describe('finding the Temporal CLI', () => {
  test('the one on the PATH goes first', async () => {
    await putProgram(join(pathFolder(), 'temporal'), '9.9.9');
    await putProgram(cached(), temporalCliVersion);
    await expect(findTemporalBinary({ env: env(), makers: [] })).resolves.toEqual({
      path: join(pathFolder(), 'temporal'),
      version: 'temporal version 9.9.9',
      source: 'path',
    });
  });

  test('one on the PATH that does not run is passed over for the cache', async () => {
    await putProgram(join(pathFolder(), 'temporal'), '9.9.9', 1);
    await putProgram(cached(), temporalCliVersion);
    await expect(findTemporalBinary({ env: env(), makers: [] })).resolves.toMatchObject({ path: cached(), source: 'cache' });
  });

  test('the download comes before the compiler, and what it gives is cached', async () => {
    const download = maker('download', (path) => putProgram(path, '1.5.1'));
    const go = failing('go', 'not asked');
    await expect(findTemporalBinary({ env: env(), makers: [download, go] })).resolves.toMatchObject({ path: cached(), source: 'download' });
    await expect(findTemporalBinary({ env: env(), makers: [download, go] })).resolves.toMatchObject({ path: cached(), source: 'cache' });
    expect([download.calls, go.calls]).toEqual([1, 0]);
  });

  test('a download that does not run is not cached, and the compiler is asked', async () => {
    const download = maker('download', (path) => putProgram(path, '1.5.1', 1));
    const go = maker('go', (path) => putProgram(path, '1.5.1-compiled'));
    await expect(findTemporalBinary({ env: env(), makers: [download, go] })).resolves.toMatchObject({
      version: 'temporal version 1.5.1-compiled',
      source: 'go',
    });
    expect(await readdir(join(cached(), '..'))).toEqual(['temporal']);
  });

  test('a broken file in the cache is replaced', async () => {
    await putProgram(cached(), 'half', 1);
    const go = maker('go', (path) => putProgram(path, '1.5.1'));
    await expect(findTemporalBinary({ env: env(), makers: [go] })).resolves.toMatchObject({ path: cached(), source: 'go' });
  });

  test('of two at once one compiles, and the other waits for it and says so', async () => {
    const said: string[] = [];
    let finish = () => {};
    const mayFinish = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const go = maker('go', async (path) => {
      await mayFinish;
      await putProgram(path, '1.5.1');
    });
    const options = {
      env: env(),
      makers: [go],
      onProgress: (message: string) => {
        said.push(message);
        finish();
      },
    };
    const both = await Promise.all([findTemporalBinary(options), findTemporalBinary(options)]);
    expect(both.map((each) => each.path)).toEqual([cached(), cached()]);
    expect(go.calls).toBe(1);
    expect(said).toEqual([expect.stringMatching(/^Waiting for process \d+, which is getting the Temporal server\.$/)]);
  });

  test('where nothing works, one message says what was tried, why it failed and what to do', async () => {
    await putProgram(join(pathFolder(), 'temporal'), '9.9.9', 3);
    const makers = [failing('download', 'temporal.download cannot be reached'), failing('go', 'there is no Go toolchain')];
    const error = await findTemporalBinary({ env: env(), makers }).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'NoTemporalServer', kind: 'permanent' });
    const { message } = error as Error;
    for (const part of [
      `${join(pathFolder(), 'temporal')}: it does not run (status 3)`,
      `the cache: there is no ${cached()}`,
      'download: temporal.download cannot be reached',
      'go: there is no Go toolchain',
      'TEMPORAL_ADDRESS=',
      'install Go',
    ]) {
      expect(message).toContain(part);
    }
    expect(await readdir(join(cached(), '..'))).toEqual([]);
  });

  test('without Go on the PATH the real compiler step says so at once', async () => {
    await mkdir(pathFolder(), { recursive: true });
    const { goInstallTemporal } = await import('../../../src/local/temporal-go-install.ts');
    await expect(goInstallTemporal({ version: '1.5.1', folder, env: env() })).rejects.toThrow('there is no Go toolchain');
  });
});

describe('the download', () => {
  let server: Server;
  let origin: string;
  let asked: string[];
  let answers: Record<string, Buffer | string | null>;

  beforeEach(async () => {
    asked = [];
    answers = {};
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const answer = answers[(request.url ?? '').split('?')[0] ?? ''];
      if (answer === undefined) response.writeHead(404).end();
      else if (answer === null)
        response.write('some'); // and then silence
      else response.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('asks for the pinned version of this platform and unpacks the program', async () => {
    await putProgram(join(folder, 'packed', 'temporal'), '1.5.1');
    execFileSync('tar', ['-czf', join(folder, 'archive.tar.gz'), '-C', join(folder, 'packed'), 'temporal']);
    answers['/cli/v1.5.1'] = JSON.stringify({ archiveUrl: `${origin}/archive`, fileToExtract: 'temporal' });
    const { readFile } = await import('node:fs/promises');
    answers['/archive'] = await readFile(join(folder, 'archive.tar.gz'));
    const target = await mkdtemp(join(folder, 'into-'));
    const path = await downloadTemporal({ version: '1.5.1', folder: target, origin });
    expect(execFileSync(path, ['--version'], { encoding: 'utf8' })).toBe('temporal version 1.5.1\n');
    expect(asked[0]).toMatch(/^\/cli\/v1\.5\.1\?arch=(amd64|arm64)&platform=(linux|darwin)&format=tar\.gz$/);
    expect(await readdir(target)).toEqual(['temporal']);
  });

  test('gives up soon where the answer stops', async () => {
    answers['/cli/v1.5.1'] = JSON.stringify({ archiveUrl: `${origin}/archive`, fileToExtract: 'temporal' });
    answers['/archive'] = null;
    await expect(downloadTemporal({ version: '1.5.1', folder, origin, silenceMs: 300 })).rejects.toThrow('no answer for 0.3 s');
  });

  test('says who cannot be reached', async () => {
    await expect(downloadTemporal({ version: '1.5.1', folder, origin: 'http://127.0.0.1:1' })).rejects.toThrow(
      '127.0.0.1:1 cannot be reached',
    );
  });
});
