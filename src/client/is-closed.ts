import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { readRunStart } from './run-start.ts';

/** Whether the run of this key has ended: its workflow is closed or gone, or its id is running another run. */
export async function isClosed(client: Client, workflowId: string, runKey: string): Promise<boolean> {
  try {
    const { status, runId } = await client.workflow.getHandle(workflowId).describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') return true;
    // A run that had to plan again has its number at the end of its key.
    const base = runKey.replace(/\+\d+$/, '');
    return (await readRunStart(client, workflowId, runId)).runKey !== base;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}
