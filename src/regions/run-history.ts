/**
 * What the history of a run says was committed, in the copy that a region has of it. No worker has to answer, and while nothing moves the ledger can
 * be compared with it to the row.
 */
import { type Client, isGrpcServiceError } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { decodePayloads } from '../client/payloads.ts';
import { stageWorkflowId } from '../contracts/names.ts';
import type { PlanSummary } from '../contracts/run.ts';
import type { CommitResult, CopyPartitionResult, UnitInput } from '../contracts/stages.ts';
import { unitName } from '../ledger/fence.ts';

/** gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const NOT_FOUND = 5;

type Event = temporal.api.history.v1.IHistoryEvent;

export interface RunHistory {
  /** Null where it has not been planned, or the event has not arrived. */
  readonly plan: PlanSummary | null;
  /** Rows of each unit that was committed: `load`, `load:17`. */
  readonly committed: ReadonlyMap<string, number>;
}

/** @param runId the execution */
export async function readRunHistory(client: Client, workflowId: string, runId: string): Promise<RunHistory> {
  const own = await eventsOf(client, workflowId, runId);
  let plan: PlanSummary | null = null;
  for await (const { name, result } of completed(client, own)) if (name === 'planRun') plan = result as PlanSummary;
  const committed = new Map<string, number>();
  if (!plan) return { plan, committed };
  const { key } = plan.run;
  // Chunks that go right into the target are committed as they are copied.
  const stage = plan.commit === 'chunk' ? 'extract' : 'load';
  for (const { childWorkflowExecutionStartedEventAttributes: started } of own) {
    const child = started?.workflowExecution;
    if (child?.workflowId !== stageWorkflowId(workflowId, stage)) continue;
    // A pass of the stage, and what it continued as.
    for (let next = child.runId ?? null; next; ) {
      const events = await eventsOf(client, child.workflowId, next);
      for await (const { name, input, result } of completed(client, events)) {
        const { run, partition } = input as UnitInput;
        if (run.key !== key) continue;
        const unit = unitName('load', partition?.id ?? null);
        if (name === 'commitUnit' && (result as CommitResult).status === 'committed') {
          committed.set(unit, (result as { rowsLoaded: number }).rowsLoaded);
        } else if (name === 'copyPartition' && stage === 'extract') {
          committed.set(unit, Math.max(committed.get(unit) ?? 0, (result as CopyPartitionResult).rowsStaged));
        }
      }
      next = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? null;
    }
  }
  return { plan, committed };
}

interface Completed {
  readonly name: string;
  readonly input: unknown;
  readonly result: unknown;
}

/** The activities that have ended well. */
async function* completed(client: Client, events: readonly Event[]): AsyncGenerator<Completed> {
  const scheduled = new Map<string, Event>();
  for (const event of events) {
    if (event.activityTaskScheduledEventAttributes) scheduled.set(String(event.eventId), event);
    const done = event.activityTaskCompletedEventAttributes;
    const asked = done && scheduled.get(String(done.scheduledEventId))?.activityTaskScheduledEventAttributes;
    if (!asked) continue;
    const first = async (payloads: Payload[] | null | undefined) => (await decodePayloads(client, payloads))[0];
    yield {
      name: asked.activityType?.name ?? '',
      input: await first(asked.input?.payloads as Payload[]),
      result: await first(done.result?.payloads as Payload[]),
    };
  }
}

/** None where the history has not arrived. */
async function eventsOf(client: Client, workflowId: string, runId: string): Promise<readonly Event[]> {
  try {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    return events ?? [];
  } catch (error) {
    if (isGrpcServiceError(error) && error.code === NOT_FOUND) return [];
    throw error;
  }
}
