/** One Temporal server and one PostgreSQL for all system tests that do not stop them; each test file has a database of its own. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgresServer } from '../../src/local/postgres-server.ts';
import { findTemporalBinary } from '../../src/local/temporal-binary.ts';
import { startTemporalServer } from '../../src/local/temporal-server.ts';

export default async function setup(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  await chmod(folder, 0o755);
  const binary = await findTemporalBinary({ onProgress: (message) => console.error(message) });
  const [temporal, postgres] = await Promise.all([
    startTemporalServer({ binary: binary.path, logFile: join(folder, 'temporal.log') }),
    startPostgresServer({ folder: join(folder, 'postgres'), logFile: join(folder, 'postgres.log'), settings: TEST_SETTINGS }),
  ]);
  process.env.SLUICE_TEST_TEMPORAL_ADDRESS = temporal.address;
  process.env.SLUICE_TEST_TEMPORAL_BINARY = binary.path;
  process.env.SLUICE_TEST_DATABASE_URL = postgres.url;
  const shared = globalThis as { sluiceTestServers?: { folder: string; stop(): Promise<void> } };
  shared.sluiceTestServers = {
    folder,
    stop: async () => {
      await Promise.allSettled([temporal.stop(), postgres.stop('fast')]);
    },
  };
}

/** Tests do not survive power failures. */
const TEST_SETTINGS = { fsync: 'off', max_connections: '400', max_prepared_transactions: '10' };
