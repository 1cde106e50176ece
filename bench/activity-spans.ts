/** Where the time of a run went, from the histories of its workflows. */
import type { SluiceClient } from '../src/client/sluice-client.ts';

/**
 * Seconds from when activities of a type were first scheduled until the last of them was completed, in the order of the run.
 * What lies between (workflow tasks, child workflows) is `between`.
 */
export async function activitySpans(sluice: SluiceClient, runId: string, seconds: number): Promise<Record<string, number>> {
  const spans = new Map<string, { from: number; to: number }>();
  const ids = [runId];
  for (const id of ids) {
    const { events } = await sluice.temporal.workflow.getHandle(id).fetchHistory();
    const types = new Map<string, string>();
    for (const event of events ?? []) {
      const stage = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId;
      if (stage) ids.push(stage);
      const at = Number(event.eventTime?.seconds ?? 0) + (event.eventTime?.nanos ?? 0) / 1e9;
      const scheduled = event.activityTaskScheduledEventAttributes;
      const completed = event.activityTaskCompletedEventAttributes;
      const type = scheduled ? scheduled.activityType?.name : types.get(String(completed?.scheduledEventId));
      // Pages of the plan are looked up while others are copied.
      if (!type || type === 'listPartitions') continue;
      if (scheduled) types.set(String(event.eventId), type);
      const span = spans.get(type) ?? { from: at, to: at };
      spans.set(type, { from: Math.min(span.from, at), to: Math.max(span.to, at) });
    }
  }
  const ordered = [...spans].sort(([, a], [, b]) => a.from - b.from).map(([type, { from, to }]) => [type, to - from] as const);
  const busy = ordered.reduce((sum, [, span]) => sum + span, 0);
  return { ...Object.fromEntries(ordered), between: Math.max(seconds - busy, 0) };
}
