/** Temporal of one region: where it takes the namespace to be active, and moving it. */
import { Client, Connection } from '@temporalio/client';
import { type NamespaceView, type ServiceProbe, viewOn } from '../client/active-region.ts';
import { interceptors } from '../client/grpc-interceptors.ts';
import { describeError, TransientError } from '../errors.ts';
import { addressesOf, type Region } from './region-list.ts';

/** Where the server's own workflows are: https://docs.temporal.io/self-hosted-guide/multi-cluster-replication */
const SYSTEM = { namespace: 'temporal-system', taskQueue: 'default-worker-tq', handover: 'namespace-handover' } as const;

const ANSWER_MS = 4_000;
const UPDATE_MS = 20_000;
const HANDOVER_MS = 120_000;

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
    return await this.connection.withDeadline(Date.now() + ANSWER_MS, () => viewOn(this.connection, this.#address, this.#namespace));
  }

  /** Makes the namespace active in a region, whatever that region says: what it has not got is lost. */
  async giveNamespace(to: string): Promise<void> {
    await this.connection.withDeadline(Date.now() + UPDATE_MS, () =>
      this.connection.workflowService.updateNamespace({ namespace: this.#namespace, replicationConfig: { activeClusterName: to } }),
    );
  }

  /**
   * The server's own handover, started where the namespace is active: it waits until the other region has everything, and loses nothing. Without
   * success the namespace stays. One that is under way is waited for.
   * @throws TransientError `HandoverFailed`
   */
  async handOver(to: string): Promise<void> {
    const system = new Client({ connection: this.connection, namespace: SYSTEM.namespace });
    try {
      await this.connection.withDeadline(Date.now() + HANDOVER_MS, () =>
        system.workflow.execute(SYSTEM.handover, {
          taskQueue: SYSTEM.taskQueue,
          workflowId: `sluice-handover-${this.#namespace}-to-${to}`,
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowExecutionTimeout: HANDOVER_MS,
          args: [{ Namespace: this.#namespace, RemoteCluster: to, AllowedLaggingSeconds: 10, HandoverTimeoutSeconds: 10 }],
        }),
      );
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
