/** What the executions of a run left in Temporal: sizes of histories and of the payloads in them. */
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

export interface ExecutionSize {
  readonly workflowId: string;
  readonly events: number;
  readonly bytes: number;
  /** Of the largest payload in the history. */
  readonly largestPayload: number;
}

/** The run's workflow and its stages, with all executions that they continued as new. */
export async function executionSizes(client: Client, workflowId: string): Promise<ExecutionSize[]> {
  const sizes: ExecutionSize[] = [];
  const waiting: { workflowId: string; runId?: string | undefined }[] = [{ workflowId }];
  for (;;) {
    const next = waiting.shift();
    if (!next) return sizes;
    const handle = client.workflow.getHandle(next.workflowId, next.runId);
    const [{ historySize }, history] = await Promise.all([handle.describe(), handle.fetchHistory()]);
    const events = history.events ?? [];
    sizes.push({
      workflowId: next.workflowId,
      events: events.length,
      bytes: historySize ?? Number.NaN,
      largestPayload: Math.max(...events.map(largestPayload)),
    });
    for (const event of events) {
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
      if (child) waiting.push({ workflowId: child.workflowId ?? '', runId: child.runId ?? undefined });
      const newer = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
      if (newer) waiting.push({ workflowId: next.workflowId, runId: newer });
    }
  }
}

function largestPayload(event: temporal.api.history.v1.IHistoryEvent): number {
  const { input } = event.activityTaskScheduledEventAttributes ?? event.workflowExecutionStartedEventAttributes ?? {};
  const { result } = event.activityTaskCompletedEventAttributes ?? event.workflowExecutionCompletedEventAttributes ?? {};
  const continued = event.workflowExecutionContinuedAsNewEventAttributes?.input;
  const signalled = event.workflowExecutionSignaledEventAttributes?.input;
  const payloads = [input, result, continued, signalled].flatMap((each) => each?.payloads ?? []);
  return Math.max(0, ...payloads.map((payload) => payload.data?.length ?? 0));
}
