/** Starts, finds and steers runs: a thin typed layer over `@temporalio/client`. */
import { randomUUID } from 'node:crypto';
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { PIPELINE_WORKFLOW, VERIFY_WORKFLOW, verifyWorkflowId, WORKFLOW_TASK_TIMEOUT } from '../contracts/names.ts';
import type { Json, PipelineInput } from '../contracts/run.ts';
import type { VerifyInput } from '../contracts/verification.ts';
import { PermanentError } from '../errors.ts';
import { serviceFailure } from './errors.ts';
import { RunHandle } from './run-handle.ts';
import { defaultRunId } from './run-id.ts';
import { listRuns, type RunFilter, type RunInfo, runInfo } from './run-info.ts';
import { type RunStart, readRunStart } from './run-start.ts';
import type { TemporalSettings } from './settings.ts';
import { Verification } from './verification.ts';

export interface StartOptions {
  /** Checked against the pipeline's own schema by the plan. */
  readonly params?: { readonly [name: string]: Json };
  /** Workflow id. @default pipeline and day, `flights-2026-11-23`, and with parameters a short hash of them */
  readonly id?: string;
}

export interface RetryOptions {
  /** Names of partitions; all that are not whole when left out. */
  readonly partitions?: readonly string[];
}

export interface VerifyOptions {
  /** Read files, and make transformed rows, again also where the load has recorded what was staged. @default false */
  readonly readAgain?: boolean;
}

export class SluiceClient {
  /** Temporal's own client, for everything else. */
  readonly temporal: Client;
  readonly settings: TemporalSettings;

  constructor(temporal: Client, settings: TemporalSettings) {
    this.temporal = temporal;
    this.settings = settings;
  }

  /**
   * Starts a run. Where the id is running already, that run is attached to; a closed id is used again for a new run.
   *
   * @throws PermanentError `RunIdTaken` where the id is running another pipeline
   *
   * @example
   * const run = await sluice.start('flights', { params: { from: '2001-02-01' } });
   * console.log((await run.result()).rowsLoaded);
   */
  async start(pipeline: string, options: StartOptions = {}): Promise<RunHandle> {
    const params = options.params ?? {};
    return await this.#start(options.id ?? defaultRunId(pipeline, params), { pipeline, params }, 'USE_EXISTING');
  }

  /** A run by its id; whether there is one shows at the first call. */
  get(id: string): RunHandle {
    return new RunHandle(this.temporal, id, { webUi: this.settings.webUi });
  }

  /** Runs, most recent first. */
  list(filter: RunFilter = {}): Promise<RunInfo[]> {
    return listRuns(this.temporal, filter);
  }

  /** What a run was started with. @throws PermanentError `UnknownRun`, `NotARun` */
  async startOf(id: string): Promise<RunStart> {
    return await this.#ask(id, () => readRunStart(this.temporal, id));
  }

  /** A run as it is listed. @throws PermanentError `UnknownRun` */
  async info(id: string): Promise<RunInfo> {
    return runInfo({ ...(await this.get(id).describe()), raw: {} });
  }

  /**
   * Goes on with a run that ended without success: with its plan, and with what it has copied, under the same id.
   *
   * @throws PermanentError `StillRunning`, `NothingToRetry`, `UnknownRun`
   */
  async retry(id: string, options: RetryOptions = {}): Promise<RunHandle> {
    const { status } = await this.info(id);
    if (['planning', 'running', 'paused'].includes(status)) {
      const next = status === 'paused' ? `"sluice resume ${id}" lets it go on` : `"sluice show ${id}" says what it does`;
      throw new PermanentError('StillRunning', `${id} has not ended: it is ${status}. ${next}.`);
    }
    const start = await this.startOf(id);
    if (status === 'succeeded') {
      throw new PermanentError(
        'NothingToRetry',
        `${id} succeeded; there is nothing to retry. "sluice run ${start.pipeline}" starts a new run.`,
      );
    }
    const retry = { runKey: start.runKey, ...(options.partitions?.length ? { partitions: options.partitions } : {}) };
    return await this.#start(id, { pipeline: start.pipeline, params: start.params, retry }, 'FAIL');
  }

  /**
   * Starts a run again under its id, whatever it ended with: after the loss of a region, when the target has lost what the run had committed.
   *
   * @throws PermanentError `StillRunning` where it runs
   */
  async repeat(id: string, input: PipelineInput): Promise<RunHandle> {
    return await this.#start(id, input, 'FAIL');
  }

  /**
   * Compares what a run should have loaded with what the target holds now. It changes nothing. A verification of the run that is under way
   * is attached to.
   *
   * @throws PermanentError `UnknownRun`, `NotARun`
   *
   * @example
   * const { equal, named } = await (await sluice.verify('flights-2026-11-23')).result();
   */
  async verify(id: string, options: VerifyOptions = {}): Promise<Verification> {
    const { pipeline, params, runKey } = await this.startOf(id);
    const input: VerifyInput = { run: id, runKey, pipeline, params, ...(options.readAgain ? { readAgain: true } : {}) };
    return await this.#ask(id, async () => {
      const handle = await this.temporal.workflow.start(VERIFY_WORKFLOW, {
        args: [input],
        workflowId: verifyWorkflowId(id),
        taskQueue: this.settings.taskQueue,
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: oneLine(`verify ${id}`),
      });
      return new Verification(this.temporal, id, handle.firstExecutionRunId, this.settings.webUi);
    });
  }

  /** Ends the connection. */
  close(): Promise<void> {
    return this.temporal.connection.close();
  }

  async #start(id: string, input: PipelineInput, conflict: 'USE_EXISTING' | 'FAIL'): Promise<RunHandle> {
    // The server does not say whether it attached; our mark in the memo does.
    const request = randomUUID();
    try {
      const handle = await this.temporal.workflow.start(PIPELINE_WORKFLOW, {
        args: [input],
        workflowId: id,
        taskQueue: this.settings.taskQueue,
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        workflowIdConflictPolicy: conflict,
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: summaryOf(input),
        memo: { pipeline: input.pipeline, params: input.params ?? {}, request },
      });
      const { memo } = await handle.describe();
      const attached = memo?.request !== request;
      if (attached) await this.#requireSamePipeline(id, input.pipeline);
      return new RunHandle(this.temporal, id, { runId: handle.firstExecutionRunId, attached, webUi: this.settings.webUi });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        throw new PermanentError('StillRunning', `${id} has been started again meanwhile. "sluice show ${id}" says what it does.`, {
          cause: error,
        });
      }
      throw serviceFailure(error, id);
    }
  }

  async #requireSamePipeline(id: string, pipeline: string): Promise<void> {
    const running = await readRunStart(this.temporal, id);
    if (running.pipeline !== pipeline) {
      throw new PermanentError('RunIdTaken', `"${id}" is running already, for the pipeline "${running.pipeline}". Choose another id.`);
    }
  }

  async #ask<T>(id: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw serviceFailure(error, id);
    }
  }
}

/** One line for the Web UI: `flights from=2001-02-01, retried`. */
function summaryOf({ pipeline, params, retry }: PipelineInput): string {
  const given = Object.entries(params ?? {}).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return oneLine([pipeline, ...given].join(' ') + (retry ? ', retried' : ''));
}

function oneLine(text: string): string {
  // The Web UI shows a single line; the server takes 400 bytes at most.
  return text.length > 180 ? `${text.slice(0, 179)}…` : text;
}
