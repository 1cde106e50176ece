import { setMaxListeners } from 'node:events';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { runFailure } from './errors.ts';

/**
 * Waits until a workflow has ended.
 *
 * @param signal gives up waiting; the workflow goes on
 * @throws RunFailedError with the reason, where it did not succeed
 */
export async function resultOf<T>(client: Client, handle: WorkflowHandle, signal?: AbortSignal): Promise<T> {
  const wait = async () => (await handle.result()) as T;
  try {
    if (!signal) return await wait();
    // Each poll (one a minute) adds a listener.
    setMaxListeners(0, signal);
    return await client.withAbortSignal(signal, wait);
  } catch (error) {
    throw runFailure(handle.workflowId, error);
  }
}
