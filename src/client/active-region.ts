/** Which of several Temporal services to talk to: where the namespace is active. */

import { Connection, type ConnectionOptions } from '@temporalio/client';
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { interceptors } from './grpc-interceptors.ts';

/** What a service says of a namespace. */
export interface NamespaceView {
  readonly address: string;
  /** Name of the cluster that answered. */
  readonly cluster: string;
  /** Where it takes the namespace to be active; its own name where the namespace is its own only. */
  readonly active: string;
  /** It grows with every move: of two that disagree, the higher is right. */
  readonly version: number;
}

export interface ServiceProbe {
  readonly namespace: string;
  readonly connection: Omit<ConnectionOptions, 'address'>;
  readonly timeoutMs: number;
}

/** gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const NOT_FOUND = 5;

/**
 * Asks all addresses at once, and gives one of those where the namespace is active: the first of them in the order given.
 *
 * @throws TransientError `TemporalUnreachable` where none answers, `ActiveRegionUnreachable` where others than the active region do
 */
export async function findActive(addresses: readonly string[], probe: ServiceProbe): Promise<string> {
  const asked = await Promise.all(
    addresses.map(async (address) => {
      try {
        return { address, view: await viewOf(address, probe), problem: '' };
      } catch (error) {
        return { address, view: null, problem: describeError(error) };
      }
    }),
  );
  const views = asked.flatMap(({ view }) => (view ? [view] : []));
  const silent = asked.filter(({ view }) => view === null).map(({ address, problem }) => `${address}: ${problem}`);
  if (views.length === 0) {
    throw new TransientError('TemporalUnreachable', `No Temporal server answers (${silent.join('; ')}). Check the addresses.`);
  }
  const newest = views.reduce((best, view) => (view.version > best.version ? view : best));
  const found = views.find(({ cluster }) => cluster === newest.active);
  if (found) return found.address;
  const [other] = views;
  throw new TransientError(
    'ActiveRegionUnreachable',
    `Namespace "${probe.namespace}" is active in region ${newest.active}, and none of its addresses answers (${silent.join('; ')}). ` +
      `Wait for it, or where it is lost: sluice region failover ${other?.cluster} --force`,
  );
}

/** @throws PermanentError `NoNamespace` */
export async function viewOf(address: string, { namespace, connection, timeoutMs }: ServiceProbe): Promise<NamespaceView> {
  const open = await Connection.connect({ ...connection, address, interceptors, connectTimeout: timeoutMs });
  try {
    return await open.withDeadline(Date.now() + timeoutMs, async () => await viewOn(open, address, namespace));
  } finally {
    await open.close();
  }
}

/** The same of a connection that is open. */
export async function viewOn(connection: Connection, address: string, namespace: string): Promise<NamespaceView> {
  const { clusterName: cluster = '' } = await connection.workflowService.getClusterInfo({});
  try {
    const described = await connection.workflowService.describeNamespace({ namespace });
    const active = described.replicationConfig?.activeClusterName || cluster;
    return { address, cluster, active: described.isGlobalNamespace ? active : cluster, version: Number(described.failoverVersion ?? 0) };
  } catch (error) {
    if ((error as { code?: number }).code !== NOT_FOUND) throw error;
    throw new PermanentError('NoNamespace', `Temporal at ${address} has no namespace "${namespace}".`, { cause: error });
  }
}
