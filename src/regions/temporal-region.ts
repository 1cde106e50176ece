/** Temporal of one region: where it takes the namespace to be active, and moving it. */

import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { type NamespaceView, type ServiceProbe, viewOn } from '../client/active-region.ts';
import { interceptors } from '../client/grpc-interceptors.ts';
import { describeError, TransientError } from '../errors.ts';
import { addressesOf, type Region } from './region-list.ts';

/** Where the server's own workflows are: https://docs.temporal.io/self-hosted-guide/multi-cluster-replication */
const SYSTEM = { namespace: 'temporal-system', taskQueue: 'default-worker-tq', handover: 'namespace-handover' } as const;

export class TemporalRegion {
  readonly region: Region;
  readonly connection: Connection;
  readonly #address: string;
  readonly #namespace: string;

  private constructor(region: Region, connection: Connection, address: string, namespace: string) {
    this.region = region;
    this.connection = connection;
    this.#address = address;
    this.#namespace = namespace;
  }

  /** @throws TransientError `RegionUnreachable` */
  static async connect(region: Region, probe: ServiceProbe): Promise<TemporalRegion> {
    let problem = '';
    for (const address of addressesOf(region, 'temporal')) {
      try {
        const connection = await Connection.connect({ ...probe.connection, address, interceptors, connectTimeout: probe.timeoutMs });
        return new TemporalRegion(region, connection, address, probe.namespace);
      } catch (error) {
        problem = `${address}: ${describeError(error)}`;
      }
    }
    throw new TransientError('RegionUnreachable', `Temporal in region ${region.name} does not answer (${problem}).`);
  }

  client(): Client {
    return new Client({ connection: this.connection, namespace: this.#namespace });
  }

  async view(): Promise<NamespaceView> {
    return await viewOn(this.connection, this.#address, this.#namespace);
  }

  /** Makes the namespace active here, whatever the other region says: what it has not replicated is lost. */
  async takeNamespace(): Promise<void> {
    await this.connection.workflowService.updateNamespace({
      namespace: this.#namespace,
      replicationConfig: { activeClusterName: this.region.name },
    });
  }

  /**
   * The server's own handover, started where the namespace is active: it waits until the other region has everything, and loses nothing. Without
   * success the namespace stays.
   * @throws TransientError `HandoverFailed`
   */
  async handOver(to: string): Promise<void> {
    const system = new Client({ connection: this.connection, namespace: SYSTEM.namespace });
    try {
      await system.workflow.execute(SYSTEM.handover, {
        taskQueue: SYSTEM.taskQueue,
        workflowId: `sluice-handover-${randomUUID()}`,
        workflowExecutionTimeout: '2 minutes',
        args: [{ Namespace: this.#namespace, RemoteCluster: to, AllowedLaggingSeconds: 10, HandoverTimeoutSeconds: 10 }],
      });
    } catch (error) {
      throw new TransientError(
        'HandoverFailed',
        `The namespace "${this.#namespace}" stays in region ${this.region.name}: ${describeError((error as { cause?: unknown }).cause ?? error)}. Repeat the command.`,
        { cause: error },
      );
    }
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}
