/** Starts runs and waits for them, whatever is down at the moment. */

import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { interceptors } from '../src/client/grpc-interceptors.ts';
import type { RunSummary } from '../src/contracts/run.ts';
import { describeError } from '../src/errors.ts';

export interface ChaosRun {
  readonly id: string;
  readonly pipeline: string;
  readonly table: string;
}

export interface EndedRun extends ChaosRun {
  readonly status: string;
  readonly summary: RunSummary | null;
  readonly failure: string | null;
}

/** A client for each address; the next one is asked where one does not answer. */
export class Runs {
  readonly #addresses: readonly string[];
  readonly #connections: Connection[] = [];
  #at = 0;
  #started = 0;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
    for (const address of addresses) this.#connections.push(Connection.lazy({ address, interceptors }));
  }

  async start(pipeline: string): Promise<ChaosRun> {
    this.#started += 1;
    const table = `${pipeline}_${this.#started}`;
    const id = `chaos-${table}`;
    await this.#asking(async (client) => {
      await client.workflow.start('pipeline', {
        taskQueue: 'sluice',
        workflowId: id,
        args: [{ pipeline, params: { table } }],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowTaskTimeout: '5 seconds',
      });
    });
    return { id, pipeline, table };
  }

  async isOpen({ id }: ChaosRun): Promise<boolean> {
    return (await this.#asking((client) => client.workflow.getHandle(id).describe())).status.name === 'RUNNING';
  }

  /** @throws Error where it has not ended in time */
  async ended(run: ChaosRun, deadline: number): Promise<EndedRun> {
    while (await this.isOpen(run)) {
      if (Date.now() > deadline) throw new Error(`${run.id} does not end`);
      await delay(250);
    }
    return await this.#asking(async (client) => {
      const handle = client.workflow.getHandle(run.id);
      const status = (await handle.describe()).status.name;
      try {
        return { ...run, status, summary: (await handle.result()) as RunSummary, failure: null };
      } catch (error) {
        if (status === 'COMPLETED') throw error;
        const { cause } = error as { cause?: Error };
        return { ...run, status, summary: null, failure: describeError(cause ?? error) };
      }
    });
  }

  /** Whether the run has gone through a change of its workflow's code: https://docs.temporal.io/develop/typescript/versioning */
  async isPatched({ id }: ChaosRun, patch: string): Promise<boolean> {
    const { events } = await this.#asking((client) => client.workflow.getHandle(id).fetchHistory());
    return (events ?? []).some(({ markerRecordedEventAttributes: marker }) =>
      Object.values(marker?.details ?? {}).some(({ payloads }) =>
        (payloads ?? []).some(({ data }) => Buffer.from(data ?? []).includes(patch)),
      ),
    );
  }

  /** The longest time, in seconds, in which nothing has happened in a run that has ended, neither in its workflow nor in those of its stages. */
  async longestPause({ id }: ChaosRun): Promise<number> {
    const times: number[] = [];
    for (const open = [id]; open.length > 0; ) {
      const workflowId = open.pop() as string;
      const { events } = await this.#asking((client) => client.workflow.getHandle(workflowId).fetchHistory());
      for (const { eventTime, childWorkflowExecutionStartedEventAttributes: stage } of events ?? []) {
        times.push(Number(eventTime?.seconds ?? 0) + (eventTime?.nanos ?? 0) / 1e9);
        if (stage?.workflowExecution?.workflowId) open.push(stage.workflowExecution.workflowId);
      }
    }
    times.sort((a, b) => a - b);
    return Math.max(...times.map((time, nth) => time - (times[nth - 1] ?? time)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  async #asking<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const connection = this.#connections[this.#at % this.#addresses.length] as Connection;
      try {
        return await connection.withDeadline(Date.now() + 5_000, () => ask(new Client({ connection })));
      } catch (error) {
        if (error instanceof WorkflowNotFoundError || Date.now() > deadline) throw error;
        this.#at += 1;
        await delay(200);
      }
    }
  }
}
