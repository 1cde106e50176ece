/** Runs as visibility lists them. */
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { isGrpcServiceError } from '@temporalio/client';
import { PIPELINE_WORKFLOW } from '../contracts/names.ts';
import type { RunStatus } from '../contracts/run.ts';
import { serviceFailure } from './errors.ts';

/** A status as it is listed: how a run stands, or how Temporal ended it. */
export type ListedStatus = RunStatus | 'terminated' | 'timedOut';

/** All of them, for checking what a person wrote. */
export const LISTED_STATUSES: readonly ListedStatus[] = [
  'planning',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
  'terminated',
  'timedOut',
];

export interface RunInfo {
  /** Workflow id. */
  readonly id: string;
  /** Id of this execution: a workflow id can be used again. */
  readonly runId: string;
  readonly pipeline: string;
  readonly status: ListedStatus;
  readonly startedAt: Date;
  readonly closedAt: Date | null;
}

export interface RunFilter {
  readonly pipeline?: string;
  readonly status?: ListedStatus;
  /** Only those that have not ended, whatever they do at the moment. */
  readonly open?: boolean;
  /** Most recent first. @default 20 */
  readonly limit?: number;
}

const CLOSED: Partial<Record<WorkflowExecutionInfo['status']['name'], ListedStatus>> = {
  COMPLETED: 'succeeded',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timedOut',
};

/** Visibility's name of a status: https://docs.temporal.io/list-filter */
const EXECUTION_STATUS: Record<ListedStatus, string> = {
  planning: 'Running',
  running: 'Running',
  paused: 'Running',
  succeeded: 'Completed',
  failed: 'Failed',
  cancelled: 'Canceled',
  terminated: 'Terminated',
  timedOut: 'TimedOut',
};

/** The runs that visibility knows, most recent first. */
export async function listRuns(client: Client, filter: RunFilter = {}): Promise<RunInfo[]> {
  const limit = filter.limit ?? 20;
  const conditions = [`WorkflowType = '${PIPELINE_WORKFLOW}'`];
  if (filter.open) conditions.push(`ExecutionStatus = 'Running'`);
  if (filter.status) conditions.push(`ExecutionStatus = '${EXECUTION_STATUS[filter.status]}'`);
  const byPipeline = filter.pipeline ? [...conditions, `SluicePipeline = '${filter.pipeline.replaceAll("'", "''")}'`] : conditions;
  const wanted = (info: RunInfo) =>
    (!filter.pipeline || info.pipeline === filter.pipeline) && (!filter.status || info.status === filter.status);
  try {
    return await collect(client, byPipeline.join(' AND '), limit, wanted);
  } catch (error) {
    // A server without Sluice's search attributes refuses the query (INVALID_ARGUMENT); then all runs are looked through.
    const refused = [error, (error as Error).cause].some((each) => isGrpcServiceError(each) && each.code === 3);
    if (!refused || !filter.pipeline) throw serviceFailure(error);
    return await collect(client, conditions.join(' AND '), limit, wanted);
  }
}

export function runInfo(info: WorkflowExecutionInfo): RunInfo {
  return {
    id: info.workflowId,
    runId: info.runId,
    pipeline: pipelineOf(info),
    status: statusOf(info),
    startedAt: info.startTime,
    closedAt: info.closeTime ?? null,
  };
}

async function collect(client: Client, query: string, limit: number, wanted: (info: RunInfo) => boolean): Promise<RunInfo[]> {
  const found: RunInfo[] = [];
  for await (const each of client.workflow.list({ query, pageSize: Math.min(limit, 200) })) {
    if (each.status.name === 'CONTINUED_AS_NEW') continue;
    const info = runInfo(each);
    if (wanted(info)) found.push(info);
    if (found.length >= limit) break;
  }
  return found;
}

function statusOf(info: Pick<WorkflowExecutionInfo, 'status' | 'searchAttributes'>): ListedStatus {
  const closed = CLOSED[info.status.name];
  if (closed) return closed;
  const said = info.searchAttributes.SluiceStatus?.[0];
  return said === 'paused' || said === 'planning' ? said : 'running';
}

/** From the search attribute, else from what the client wrote at the start, else from the id as far as it tells. */
function pipelineOf(info: Pick<WorkflowExecutionInfo, 'workflowId' | 'searchAttributes' | 'memo'>): string {
  const attribute = info.searchAttributes.SluicePipeline?.[0];
  if (typeof attribute === 'string') return attribute;
  const { pipeline } = info.memo ?? {};
  return typeof pipeline === 'string' ? pipeline : info.workflowId.replace(/-\d{4}-\d{2}-\d{2}.*$/, '');
}
