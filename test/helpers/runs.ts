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

/** How often the activity that made a run fail was tried. */
export async function attemptsAt(handle: WorkflowHandle, activityType: string): Promise<number> {
  const { events } = await handle.fetchHistory();
  const scheduled = new Set(
    events
      ?.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activityType)
      .map((event) => String(event.eventId)),
  );
  const started = events
    ?.map((event) => event.activityTaskStartedEventAttributes)
    .filter((attributes) => attributes && scheduled.has(String(attributes.scheduledEventId)));
  return Math.max(0, ...(started ?? []).map((attributes) => attributes?.attempt ?? 0));
}

/** What the activities that a run (or one of its stages) waits for failed with last. */
export async function pendingFailures(client: Client, workflowId: string): Promise<string[]> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  return (raw.pendingActivities ?? []).flatMap((activity) => activity.lastFailure?.message ?? []);
}
