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
const ANSWER_MS = 10_000;

export interface JoinedRegions {
  /** Names of all regions. */
  readonly names: readonly string[];
  /** They knew each other before: this region has been set up, and may have to do without the other one now. */
  readonly again: boolean;
}

/**
 * Connects this region's Temporal to the other one, and waits until both know each other. A region that knows the other one already does not wait for it:
 * it may be the only one that is left.
 * @throws TransientError `RegionUnreachable`
 */
export async function joinRegions(connection: Connection, { region, peerAddress, say }: JoinOptions): Promise<JoinedRegions> {
  const before = await namesKnownTo(connection);
  const again = isJoined(before, region);
  const deadline = Date.now() + JOINED_MS;
  let told = false;
  for (;;) {
    try {
      await connection.withDeadline(Date.now() + ANSWER_MS, () =>
        connection.operatorService.addOrUpdateRemoteCluster({ frontendAddress: peerAddress, enableRemoteClusterConnection: true }),
      );
      const names = await namesKnownTo(connection);
      if (isJoined(names, region)) return { names, again };
    } catch (error) {
      if (again) {
        say(`The other region's Temporal (${peerAddress}) does not answer; it is known here from before.`);
        return { names: before, again };
      }
      if (Date.now() > deadline) {
        throw new TransientError(
          'RegionUnreachable',
          `The other region's Temporal (${peerAddress}) does not answer: ${describeError(error)}.`,
          { cause: error },
        );
      }
      if (!told) say(`Waiting for the other region's Temporal (${peerAddress}).`);
      told = true;
    }
    await delay(500);
  }
}

async function namesKnownTo(connection: Connection): Promise<string[]> {
  const { clusters } = await connection.operatorService.listClusters({});
  return (clusters ?? []).map(({ clusterName }) => clusterName ?? '').sort();
}

function isJoined(names: readonly string[], region: string): boolean {
  return names.includes(region) && names.length > 1;
}
