/** Two regions: one is killed whole, comes back, and hands over. What is done is in `chaos/regions`; here it is held to what is promised. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { RegionsResult } from '../../chaos/results.ts';
import { temporaryFolder } from '../helpers/servers.ts';
import { CLI } from '../helpers/workers.ts';
import { dockerCompose } from './docker-compose.ts';

jest.setTimeout(1_500_000);

const run = promisify(execFile);
const ROOT = resolve(__dirname, '../..');

async function refused(env: NodeJS.ProcessEnv, ...args: string[]): Promise<{ code: string; message: string }> {
  const failure = await run(process.execPath, [CLI, ...args, '--json'], { env: { PATH: process.env.PATH, ...env } }).catch(
    (error) => error,
  );
  return JSON.parse((failure as { stdout: string }).stdout.trimEnd().split('\n').at(-1) ?? '').error;
}

test('a region is lost, comes back, and hands over, with exactly the right rows each time', async () => {
  const out = await temporaryFolder('proof');
  const { stdout } = await run(process.execPath, ['dist/chaos/main.js', '--regions', '--json', '--out', out], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
  }).catch((failure: { stdout: string; stderr: string }) => {
    throw new Error(`${failure.stdout}\n${failure.stderr}`);
  });
  const { regions } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { regions: RegionsResult['steps'] };

  expect(regions.map(({ step, problems }) => ({ step, problems }))).toEqual([
    { step: 'a region is killed whole, its standby synchronous', problems: [] },
    { step: 'it comes back by itself', problems: [] },
    { step: 'a region is cut off, lives on, and is seen again', problems: [] },
    { step: 'handed over and back, while runs go on', problems: [] },
    { step: 'a region is killed whole, its standby cut off before', problems: [] },
    { step: 'the command dies in the middle, and is repeated', problems: [] },
    { step: 'a region is lost as it is handed over to', problems: [] },
    { step: 'a region that was given up goes on, the other is lost', problems: [] },
  ]);
  const [synchronous, , , , asynchronous] = regions;
  expect(synchronous).toMatchObject({ rowsLost: 0, rowsSaidLost: 0 });
  expect(asynchronous?.rowsLost).toBeGreaterThan(0);
  expect(asynchronous?.rowsSaidLost).toBe(asynchronous?.rowsLost);
  expect(await readFile(join(out, 'reliability.md'), 'utf8')).toContain('| a region is killed whole, its standby synchronous ');
});

describe('region commands', () => {
  const somewhere = {
    SLUICE_REGIONS: 'a=127.0.0.2 b=127.0.0.3',
    SLUICE_DATABASE_URL: 'postgres://etl:x@127.0.0.2:5442,127.0.0.3:5442/sluice?target_session_attrs=primary',
  };

  test('say how regions are named, where they are not', async () => {
    expect(await refused({}, 'region', 'status')).toMatchObject({ code: 'NoRegions', message: expect.stringMatching(/--regions a,b/) });
    expect(await refused({ SLUICE_REGIONS: 'a' }, 'region', 'status')).toMatchObject({ code: 'InvalidRegions' });
  });

  test('refuse a region that there is not, and one that does not answer', async () => {
    expect(await refused(somewhere, 'region', 'failover', 'c', '--force')).toMatchObject({
      code: 'UnknownRegion',
      message: expect.stringMatching(/Regions: a, b/),
    });
    expect(await refused(somewhere, 'region', 'failover', 'b', '--force')).toMatchObject({ code: 'RegionUnreachable' });
  });

  test('clients name every address that does not answer', async () => {
    expect(await refused(somewhere, 'list')).toMatchObject({
      code: 'TemporalUnreachable',
      message: expect.stringMatching(/127\.0\.0\.2:7233.*127\.0\.0\.3:7233/s),
    });
  });
});

describe('the files of deploy/ for regions', () => {
  test('HAProxy finds nothing wrong', async () => {
    await run('haproxy', ['-c', '-f', 'deploy/haproxy/haproxy.cfg', '-f', 'deploy/haproxy/region.cfg'], {
      cwd: ROOT,
      env: { ...process.env, PEER_1: 'localhost', PEER_2: 'localhost' },
    });
  });

  test.each(['a', 'b'])('Compose finds nothing wrong with region %s', async (region) => {
    const files = ['-f', 'docker-compose.yml', '-f', 'docker-compose.region.yml', '--env-file', `deploy/regions/${region}.env`];
    const { stdout } = await run(await dockerCompose(), [...files, 'config', '--format', 'json'], {
      cwd: ROOT,
      maxBuffer: 16 * 1024 * 1024,
    });
    const { name, services } = JSON.parse(stdout) as { name: string; services: Record<string, { environment?: Record<string, string> }> };
    expect(name).toBe(`sluice-${region}`);
    expect(services.worker1?.environment).toMatchObject({ SLUICE_REGION: region });
    expect(Object.keys(services)).toContain('target');
  });

  test('two names, different ones, are what --regions takes', async () => {
    expect(await refused({}, 'cluster', 'up', '--regions', 'a,a')).toMatchObject({ code: 'InvalidRegions' });
  });
});
