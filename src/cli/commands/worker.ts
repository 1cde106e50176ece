import { resolve } from 'node:path';
import type { Session } from '../session.ts';

/**
 * `sluice worker`: one worker in this process, until it is told to stop. It reads its configuration from the environment, as a worker
 * that is started without the CLI does.
 */
export async function workerCommand(session: Session): Promise<void> {
  const database = await session.database();
  const { temporalSettings } = await import('../../client/settings.ts');
  const settings = await temporalSettings();
  // The stack of `sluice dev` is meant where nothing else is named.
  if (settings.origin === 'stack') {
    process.env.TEMPORAL_ADDRESS = settings.address;
    process.env.TEMPORAL_NAMESPACE = settings.namespace;
  }
  if (database) process.env.SLUICE_DATABASE_URL = database.url;
  process.env.SLUICE_TASK_QUEUE = session.taskQueue;
  process.env.SLUICE_PIPELINES = resolve(session.cwd, session.pipelines);
  // A program of its own: importing it runs it.
  await import(new URL('../../../workers/worker.js', import.meta.url).href);
}
