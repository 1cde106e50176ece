import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporalSettings } from '../../../src/client/settings.ts';
import { workflowUrl } from '../../../src/client/web-ui.ts';
import { ownIdentity } from '../../../src/local/process-identity.ts';
import { writeStack } from '../../../src/local/stack-file.ts';

let stateDir = '';
// A configuration file of the person who runs the tests is not meant.
const nothing = { TEMPORAL_CONFIG_FILE: '/nowhere/temporal.toml' };

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'sluice-settings-'));
});

afterEach(() => rm(stateDir, { recursive: true }));

async function runningStack(): Promise<void> {
  const process = ownIdentity();
  const temporal = { process, owner: null, address: '127.0.0.1:20001', namespace: 'dev', uiUrl: 'http://127.0.0.1:20002', metricsUrl: '' };
  await writeStack(stateDir, { temporal, workers: [] });
}

it('takes localhost where nobody says anything', async () => {
  expect(await temporalSettings({ env: nothing, stateDir })).toMatchObject({
    address: 'localhost:7233',
    namespace: 'default',
    taskQueue: 'sluice',
    origin: 'default',
    webUi: 'http://localhost:8233',
  });
});

it('takes the stack that runs in this folder', async () => {
  await runningStack();
  expect(await temporalSettings({ env: nothing, stateDir })).toMatchObject({
    address: '127.0.0.1:20001',
    namespace: 'dev',
    origin: 'stack',
    webUi: 'http://127.0.0.1:20002',
  });
});

it('takes the environment before the stack, and options before the environment', async () => {
  await runningStack();
  const env = { ...nothing, TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_NAMESPACE: 'orders', SLUICE_TASK_QUEUE: 'etl' };
  expect(await temporalSettings({ env, stateDir })).toMatchObject({
    address: 'temporal:7233',
    namespace: 'orders',
    taskQueue: 'etl',
    origin: 'environment',
    webUi: null,
  });
  expect(await temporalSettings({ env, stateDir, address: 'other:7233', taskQueue: 'mine' })).toMatchObject({
    address: 'other:7233',
    taskQueue: 'mine',
    origin: 'options',
  });
});

it('takes an empty variable for an unset one', async () => {
  expect(await temporalSettings({ env: { ...nothing, TEMPORAL_ADDRESS: '', SLUICE_TASK_QUEUE: '' }, stateDir })).toMatchObject({
    address: 'localhost:7233',
    taskQueue: 'sluice',
  });
});

it('makes addresses of the Web UI', () => {
  expect(workflowUrl('http://ui', 'default', 'a/extract', 'id')).toBe('http://ui/namespaces/default/workflows/a%2Fextract/id/history');
  expect(workflowUrl('http://ui', 'default', 'a')).toBe('http://ui/namespaces/default/workflows/a');
  expect(workflowUrl(null, 'default', 'a')).toBeNull();
});

it('takes several addresses, and all proxies of all regions', async () => {
  const env = { ...nothing, SLUICE_REGIONS: 'a=p1.a,p2.a b=p1.b', TEMPORAL_ADDRESS: 'haproxy1:7233' };
  expect(await temporalSettings({ env, stateDir })).toMatchObject({ addresses: ['p1.a:7233', 'p2.a:7233', 'p1.b:7233'] });
  // A worker polls at home.
  expect(await temporalSettings({ env, stateDir, ownRegion: true })).toMatchObject({
    addresses: ['haproxy1:7233'],
    address: 'haproxy1:7233',
  });
  expect(await temporalSettings({ env, stateDir, address: ['x:1', 'y:2'] })).toMatchObject({
    addresses: ['x:1', 'y:2'],
    origin: 'options',
  });
  expect(await temporalSettings({ env: { ...nothing, TEMPORAL_ADDRESS: 'x:1, y:2' }, stateDir })).toMatchObject({
    addresses: ['x:1', 'y:2'],
  });
});
