/** One run, to follow and to steer. */
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { PAUSE_SIGNAL, PROGRESS_QUERY, RESUME_SIGNAL } from '../contracts/names.ts';
import type { Progress, RunSummary } from '../contracts/run.ts';
import { serviceFailure } from './errors.ts';
import { resultOf } from './result-of.ts';
import { workflowUrl } from './web-ui.ts';

/** How long a query waits for a worker to answer it. */
const QUERY_TIMEOUT_MS = 10_000;

/** A run. Every call may be repeated. */
export class RunHandle {
  /** Workflow id. */
  readonly id: string;
  /** The id was running already when `start` was called: nothing was started, this is that run. */
  readonly attached: boolean;
  /** Where to look in Temporal's Web UI; null where the UI is not known. */
  readonly webUi: string | null;
  readonly #client: Client;
  readonly #handle: WorkflowHandle;

  constructor(client: Client, id: string, options: { runId?: string; attached?: boolean; webUi: string | null }) {
    this.id = id;
    this.attached = options.attached ?? false;
    this.webUi = workflowUrl(options.webUi, client.options.namespace, id, options.runId);
    this.#client = client;
    this.#handle = client.workflow.getHandle(id, undefined, options.runId ? { firstExecutionRunId: options.runId } : {});
  }

  /**
   * Waits until the run has ended.
   *
   * @param options `signal` gives up waiting; the run goes on
   * @throws RunFailedError with the reason, where it did not succeed
   */
  async result(options: { readonly signal?: AbortSignal } = {}): Promise<RunSummary> {
    return await resultOf<RunSummary>(this.#client, this.#handle, options.signal);
  }

  /**
   * How far the run is, answered by a worker, also after its end.
   *
   * @param options `timeoutMs`: how long to wait for a worker to answer, 10,000 where left out
   * @throws TransientError `NoWorker` where none answers
   */
  progress(options: { readonly timeoutMs?: number } = {}): Promise<Progress> {
    const deadline = Date.now() + (options.timeoutMs ?? QUERY_TIMEOUT_MS);
    return this.#ask(() => this.#client.withDeadline(deadline, () => this.#handle.query<Progress>(PROGRESS_QUERY)));
  }

  /** Lets the chunks in flight finish, and starts no more until `resume`. */
  pause(): Promise<void> {
    return this.#ask(() => this.#handle.signal(PAUSE_SIGNAL));
  }

  resume(): Promise<void> {
    return this.#ask(() => this.#handle.signal(RESUME_SIGNAL));
  }

  /** Asks the run to stop and clean up. Before the commit the target is as it was; the commit itself is not interrupted. */
  async cancel(): Promise<void> {
    await this.#ask(() => this.#handle.cancel());
  }

  /** What Temporal says of the workflow. */
  describe(): Promise<WorkflowExecutionDescription> {
    return this.#ask(() => this.#handle.describe());
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw serviceFailure(error, this.id);
    }
  }
}
