import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configuredTemporal, usesOwnTemporal } from '../../../src/local/temporal-address.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-address-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const noFile = () => ({ TEMPORAL_CONFIG_FILE: join(folder, 'none.toml') });

test('nothing named, or named empty: a server has to be started', () => {
  expect(usesOwnTemporal(noFile())).toBe(false);
  expect(usesOwnTemporal({ ...noFile(), TEMPORAL_ADDRESS: '' })).toBe(false);
  expect(usesOwnTemporal({ ...noFile(), TEMPORAL_NAMESPACE: 'orders' })).toBe(false);
});

test('an address of the environment is used, with its namespace', () => {
  expect(configuredTemporal({ ...noFile(), TEMPORAL_ADDRESS: 'temporal.example:7233' })).toEqual({
    address: 'temporal.example:7233',
    namespace: 'default',
  });
  expect(configuredTemporal({ ...noFile(), TEMPORAL_ADDRESS: 'a:1', TEMPORAL_NAMESPACE: 'orders' })).toEqual({
    address: 'a:1',
    namespace: 'orders',
  });
});

test("so is one of a profile in Temporal's configuration file", async () => {
  const file = join(folder, 'temporal.toml');
  await writeFile(file, '[profile.cloud]\naddress = "cloud.example:7233"\nnamespace = "etl"\n');
  expect(configuredTemporal({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud' })).toEqual({
    address: 'cloud.example:7233',
    namespace: 'etl',
  });
});

test('a file that cannot be read is named', async () => {
  const file = join(folder, 'temporal.toml');
  await writeFile(file, '[profile.default\n');
  expect(() => configuredTemporal({ TEMPORAL_CONFIG_FILE: file })).toThrow(file);
});
