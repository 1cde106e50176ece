/** Names that programs outside Sluice use: workflow types, signals, queries, the task queue, search attributes. */
import type { Stage } from './run.ts';

/** How long the worker that has a workflow task may be gone before another gets it. The server's own default is 10 seconds. */
export const WORKFLOW_TASK_TIMEOUT = '5 seconds';

export const DEFAULT_TASK_QUEUE = 'sluice';

/** Where pipelines are looked for when nobody says otherwise, relative to the working directory. */
export const DEFAULT_PIPELINES_FOLDER = 'pipelines';

/** Workflow types. */
export const PIPELINE_WORKFLOW = 'pipeline';
export const VERIFY_WORKFLOW = 'verify';

export const PAUSE_SIGNAL = 'pause';
export const RESUME_SIGNAL = 'resume';
export const PROGRESS_QUERY = 'progress';

/** Search attributes, all of type Keyword. */
export const SEARCH_ATTRIBUTES = ['SluicePipeline', 'SluiceStage', 'SluiceStatus'] as const;

/** Id of the child workflow of a stage: `flights-2026-11-23/extract`. */
export function stageWorkflowId(workflowId: string, stage: Stage): string {
  return `${workflowId}/${stage}`;
}

/** Id of the workflow that verifies a run: `flights-2026-11-23/verify`. */
export function verifyWorkflowId(workflowId: string): string {
  return `${workflowId}/verify`;
}

/** Key of a run: its workflow id and the id of its first execution. */
export function runKeyOf(workflowId: string, firstExecutionRunId: string): string {
  return `${workflowId}/${firstExecutionRunId}`;
}

/** Key of the plan after this one: a run that another one overtook plans again, as `key+1`, `key+2`. */
export function keyAfter(runKey: string): string {
  const again = /^(.*)\+(\d+)$/.exec(runKey);
  return again ? `${again[1]}+${Number(again[2]) + 1}` : `${runKey}+1`;
}
