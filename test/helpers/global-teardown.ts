import { rm } from 'node:fs/promises';

export default async function teardown(): Promise<void> {
  const shared = globalThis as { sluiceTestServers?: { folder: string; stop(): Promise<void> } };
  await shared.sluiceTestServers?.stop();
  if (shared.sluiceTestServers) await rm(shared.sluiceTestServers.folder, { recursive: true, force: true });
}
