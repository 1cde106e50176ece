/** How a run was started: read from the first event of its history, for runs started by whatever means. */
import type { Client } from '@temporalio/client';
import { runKeyOf } from '../contracts/names.ts';
import type { Json, PipelineInput } from '../contracts/run.ts';
import { PermanentError } from '../errors.ts';
import { decodePayloads } from './payloads.ts';

export interface RunStart {
  readonly pipeline: string;
  readonly params: { readonly [name: string]: Json };
  /** Key of the run in the ledger: an execution that retries goes on under the key of the first. */
  readonly runKey: string;
}

/**
 * @param runId an execution; the latest when left out
 * @throws PermanentError `NotARun` where it is no `pipeline` workflow
 */
export async function readRunStart(client: Client, workflowId: string, runId?: string): Promise<RunStart> {
  const latest = await firstEvent(client, workflowId, runId);
  const firstRunId = latest.firstExecutionRunId ?? '';
  // Continuing as new may carry more than what was asked for; the first execution has the request.
  const first =
    firstRunId && firstRunId !== latest.originalExecutionRunId
      ? await firstEvent(client, workflowId, firstRunId).catch(() => latest)
      : latest;
  const [input] = (await decodePayloads(client, first.input?.payloads as never)) as [PipelineInput | undefined];
  if (typeof input?.pipeline !== 'string') {
    throw new PermanentError(
      'NotARun',
      `workflow "${workflowId}" is not a run of a pipeline (its type is ${first.workflowType?.name ?? 'unknown'}).`,
    );
  }
  return { pipeline: input.pipeline, params: input.params ?? {}, runKey: input.retry?.runKey ?? runKeyOf(workflowId, firstRunId) };
}

async function firstEvent(client: Client, workflowId: string, runId: string | undefined) {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
  if (!started) throw new PermanentError('UnknownRun', `run "${workflowId}" has no history any more.`);
  return started;
}
