/** One verification of a run, to wait for. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { verifyWorkflowId } from '../contracts/names.ts';
import type { VerifySummary } from '../contracts/verification.ts';
import { resultOf } from './result-of.ts';
import { workflowUrl } from './web-ui.ts';

/** A verification. Every call may be repeated. */
export class Verification {
  /** Workflow id: that of the run and `/verify`. */
  readonly id: string;
  /** Where to look in Temporal's Web UI; null where the UI is not known. */
  readonly webUi: string | null;
  readonly #client: Client;
  readonly #handle: WorkflowHandle;

  constructor(client: Client, run: string, firstExecutionRunId: string, webUi: string | null) {
    this.id = verifyWorkflowId(run);
    this.webUi = workflowUrl(webUi, client.options.namespace, this.id, firstExecutionRunId);
    this.#client = client;
    this.#handle = client.workflow.getHandle(this.id, undefined, { firstExecutionRunId });
  }

  /**
   * Waits until all is compared.
   *
   * @param options `signal` gives up waiting; the verification goes on
   * @throws RunFailedError with the reason, where it could not be done
   */
  async result(options: { readonly signal?: AbortSignal } = {}): Promise<VerifySummary> {
    return await resultOf<VerifySummary>(this.#client, this.#handle, options.signal);
  }

  /** Stops it; nothing is left behind. */
  async cancel(): Promise<void> {
    await this.#handle.cancel();
  }
}
