/** Starts runs and follows them. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Json, Progress, RunSummary } from '../../src/contracts/run.ts';
import type { Project } from './workers.ts';

let runs = 0;

export async function startRun(
  client: Client,
  of: Project,
  pipeline: string,
  params: Record<string, Json> = {},
  workflowId = `${pipeline}-${process.pid}-${++runs}-${Date.now().toString(36)}`,
): Promise<WorkflowHandle> {
  return await client.workflow.start('pipeline', { taskQueue: of.taskQueue, workflowId, args: [{ pipeline, params }] });
}

export async function progressOf(handle: WorkflowHandle): Promise<Progress> {
  return await handle.query<Progress>('progress');
}

export async function resultOf(handle: WorkflowHandle): Promise<RunSummary> {
  return (await handle.result()) as RunSummary;
}

/** The message of a run that failed, and its type. */
export async function failureOf(handle: WorkflowHandle): Promise<{ message: string; type: string }> {
  try {
    await handle.result();
  } catch (error) {
    const cause = (error as { cause?: { message?: string; type?: string } }).cause;
    return { message: cause?.message ?? String(error), type: cause?.type ?? '' };
  }
  throw new Error('the run did not fail');
}
