import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterSecrets, readCluster } from '../../../src/cluster/cluster-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cluster-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a folder without a cluster has none', async () => {
  expect(await readCluster(folder)).toBeNull();
});

test.each(['{"wanted":{"composeFile":"x"}}', '{"half'])('%s is not taken for no cluster', async (text) => {
  await writeFile(join(folder, 'cluster.json'), text);
  await expect(readCluster(folder)).rejects.toMatchObject({ code: 'OtherVersion', message: expect.stringMatching(/another version/) });
});

test('passwords are made once', async () => {
  const first = await clusterSecrets(folder);
  expect(Object.keys(first)).toContain('PATRONI_API_PASSWORD');
  expect(await clusterSecrets(folder)).toEqual(first);
});
