/** Makes two Temporal services into regions of one another. May be repeated. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { describeError, TransientError } from '../errors.ts';

export interface JoinOptions {
  /** This region. */
  readonly region: string;
  /** Where the new namespace is active at first. */
  readonly first: string;
  /** Where this region's Temporal reaches that of the other one. */
  readonly peerAddress: string;
  readonly say: (message: string) => void;
}

const JOINED_MS = 180_000;

/**
 * Connects this region's Temporal to the other one, and waits until both know each other.
 * @returns names of all regions
 * @throws TransientError `RegionUnreachable`
 */
export async function joinRegions(connection: Connection, { region, peerAddress, say }: JoinOptions): Promise<string[]> {
  const deadline = Date.now() + JOINED_MS;
  let told = false;
  for (;;) {
    try {
      await connection.operatorService.addOrUpdateRemoteCluster({ frontendAddress: peerAddress, enableRemoteClusterConnection: true });
      const { clusters } = await connection.operatorService.listClusters({});
      const names = (clusters ?? []).map(({ clusterName }) => clusterName ?? '').sort();
      if (names.includes(region) && names.length > 1) return names;
    } catch (error) {
      if (Date.now() > deadline) {
        throw new TransientError(
          'RegionUnreachable',
          `The other region's Temporal (${peerAddress}) does not answer: ${describeError(error)}.`,
          {
            cause: error,
          },
        );
      }
      if (!told) say(`Waiting for the other region's Temporal (${peerAddress}).`);
      told = true;
    }
    await delay(500);
  }
}
