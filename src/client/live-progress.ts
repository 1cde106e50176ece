/** What the activities of a run do at the moment: finer than the query `progress`, which knows finished partitions. */
import type { Client } from '@temporalio/client';
import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { stageWorkflowId } from '../contracts/names.ts';
import type { Progress } from '../contracts/run.ts';
import type { CopyHeartbeat } from '../contracts/stages.ts';
import { describeFailure } from './errors.ts';
import { decodePayloads } from './payloads.ts';

/** An activity that has not ended: it runs, or waits for its next attempt. */
export interface PendingActivity {
  /** Workflow that it belongs to: the run, or one of its stages. */
  readonly workflowId: string;
  readonly activityId: string;
  readonly type: string;
  readonly state: 'scheduled' | 'started' | 'cancelling';
  /** From 1. */
  readonly attempt: number;
  /** What a copy said last; null for other activities, and before the first heartbeat. */
  readonly heartbeat: CopyHeartbeat | null;
  /** Why the attempt before this one ended. */
  readonly lastFailure: { readonly code: string; readonly message: string } | null;
  readonly startedAt: Date | null;
  /** When the next attempt begins, while it waits for one. */
  readonly nextAttemptAt: Date | null;
  /** Identity of the worker that has it, or had it last. */
  readonly worker: string | null;
}

/** The activities of a workflow that have not ended; none where there is no such workflow. */
export async function pendingActivities(client: Client, workflowId: string): Promise<PendingActivity[]> {
  let described: Awaited<ReturnType<Client['workflowService']['describeWorkflowExecution']>>;
  try {
    described = await client.workflowService.describeWorkflowExecution({ namespace: client.options.namespace, execution: { workflowId } });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || (isGrpcServiceError(error) && error.code === 5)) return [];
    throw error;
  }
  const { failureConverter, payloadConverter } = client.options.loadedDataConverter;
  return await Promise.all(
    (described.pendingActivities ?? []).map(async (each): Promise<PendingActivity> => {
      const [heartbeat] = await decodePayloads(client, each.heartbeatDetails?.payloads as never);
      return {
        workflowId,
        activityId: each.activityId ?? '',
        type: each.activityType?.name ?? '',
        state: each.state === 2 ? 'started' : each.state === 3 ? 'cancelling' : 'scheduled',
        attempt: each.attempt ?? 1,
        heartbeat: isCopyHeartbeat(heartbeat) ? heartbeat : null,
        lastFailure: each.lastFailure ? describeFailure(failureConverter.failureToError(each.lastFailure, payloadConverter)) : null,
        startedAt: toDate(each.lastStartedTime),
        nextAttemptAt: each.state === 1 ? toDate(each.scheduledTime) : null,
        worker: each.lastWorkerIdentity || null,
      };
    }),
  );
}

/** The pending activities of a run and its stages. */
export async function pendingOfRun(client: Client, runId: string): Promise<PendingActivity[]> {
  const ids = [runId, ...(['extract', 'transform', 'load'] as const).map((stage) => stageWorkflowId(runId, stage))];
  return (await Promise.all(ids.map((id) => pendingActivities(client, id)))).flat();
}

/** Progress with what is being copied at the moment added to what was. */
export interface LiveProgress {
  readonly progress: Progress;
  readonly pending: readonly PendingActivity[];
  /** Rows read so far, those of unfinished partitions included. */
  readonly rowsRead: number;
}

export function withPending(progress: Progress, pending: readonly PendingActivity[]): LiveProgress {
  const inFlight = progress.stage === 'extract' ? pending.reduce((sum, each) => sum + (each.heartbeat?.rowsRead ?? 0), 0) : 0;
  return { progress, pending, rowsRead: progress.rows.read + inFlight };
}

function isCopyHeartbeat(value: unknown): value is CopyHeartbeat {
  return typeof value === 'object' && value !== null && 'partition' in value && 'rowsRead' in value;
}

function toDate(time: { seconds?: unknown; nanos?: number | null } | null | undefined): Date | null {
  return time ? new Date(Number(time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6) : null;
}
