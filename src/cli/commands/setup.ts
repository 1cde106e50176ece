/** `sluice setup`: makes a Temporal service and a target database ready. May be repeated, and by several at once. */

import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { interceptors } from '../../client/grpc-interceptors.ts';
import { registerSearchAttributes } from '../../client/search-attributes.ts';
import { temporalSettings } from '../../client/settings.ts';
import { Database, databaseLabel } from '../../connectors/postgres/database.ts';
import { describeError, PermanentError, TransientError } from '../../errors.ts';
import { migrateLedger } from '../../ledger/migrations.ts';
import { nameFirstRegion } from '../../ledger/regions.ts';
import { type JoinOptions, joinRegions } from '../../regions/join-regions.ts';
import { type Session, STATE_FOLDER } from '../session.ts';

export interface SetupOptions {
  /** Days that Temporal keeps the history of runs that have ended. */
  readonly retention: number;
}

/** gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
/** A server notices a new namespace at its next look, after some seconds; that of another region after some more. */
const USABLE_MS = 120_000;

export async function setupCommand(session: Session, { retention }: SetupOptions): Promise<void> {
  const settings = await temporalSettings({ stateDir: STATE_FOLDER, env: session.env, ownRegion: true });
  const join = joinOptions(session);
  const { namespace, address } = settings;
  const connection = await Connection.connect({ ...settings.connection, interceptors, connectTimeout: '10s' }).catch((error: unknown) => {
    throw new TransientError('TemporalUnreachable', `Temporal at ${address} does not answer: ${describeError(error)}.`, { cause: error });
  });
  const said: string[] = [];
  let searchAttributes = false;
  /** A region that was set up before, and comes back. */
  let isBack = false;
  try {
    const joined = join ? await joinRegions(connection, join) : null;
    isBack = joined?.again ?? false;
    const regions = joined?.names ?? null;
    if (regions) said.push(`regions ${regions.join(' and ')} know each other`);
    // A namespace of several regions is made in one of them, and comes to the others by itself.
    const isMadeHere = join === null || join.region === join.first;
    const created = isMadeHere && (await createNamespace(connection, namespace, { retention, regions, active: join?.first ?? null }));
    await untilUsable(connection, namespace);
    said.push(`namespace "${namespace}" ${created ? `created (histories are kept for ${retention} days)` : 'is there'}`);
    searchAttributes = await registerSearchAttributes(connection, namespace, (message) => session.output.note(message));
    if (searchAttributes) said.push('search attributes are registered');
  } finally {
    await connection.close();
  }
  const target = await session.database();
  if (target) {
    const database = new Database('target', target.url, { max: 2 });
    try {
      await migrateLedger(database);
      if (join) await nameFirstRegion(database, join.first);
      said.push(`the ledger in ${databaseLabel(target.url)} is up to date`);
    } catch (error) {
      if (!isBack || !(error instanceof TransientError)) throw error;
      // Its workers must be there when a person lets the region go on, and the failover looks after the ledger itself.
      said.push(`no region has a primary of the target (${error.message})`);
    } finally {
      await database.close();
    }
  } else said.push('no target: SLUICE_DATABASE_URL is not set');
  session.output.result(
    { address, namespace, searchAttributes, database: target ? databaseLabel(target.url) : null },
    `Temporal at ${address}: ${said.join('; ')}.`,
  );
}

/** What the environment says of this region; null where it is the only one. */
function joinOptions({ env, output }: Session): JoinOptions | null {
  const { SLUICE_REGION: region, SLUICE_FIRST_REGION: first, SLUICE_PEER_TEMPORAL: peerAddress } = env;
  if (!region || !peerAddress) return null;
  return { region, first: first || region, peerAddress, say: (message) => output.note(message) };
}

interface NewNamespace {
  readonly retention: number;
  readonly regions: readonly string[] | null;
  readonly active: string | null;
}

async function createNamespace(connection: Connection, namespace: string, { retention, regions, active }: NewNamespace): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return false;
  } catch (error) {
    if ((error as { code?: number }).code !== NOT_FOUND) throw failure(error, namespace);
  }
  const ofRegions = regions && {
    isGlobalNamespace: true,
    clusters: regions.map((clusterName) => ({ clusterName })),
    activeClusterName: active ?? '',
  };
  const deadline = Date.now() + USABLE_MS;
  for (;;) {
    try {
      await connection.workflowService.registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: { seconds: (retention * 86_400) as never },
        ...ofRegions,
      });
      return true;
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === ALREADY_EXISTS) return false;
      // A node hears of another region at its next look.
      if (code !== INVALID_ARGUMENT || !regions || Date.now() > deadline) throw failure(error, namespace);
    }
    await delay(500);
  }
}

function failure(error: unknown, namespace: string): PermanentError {
  return new PermanentError('NamespaceFailed', `The namespace "${namespace}" cannot be created: ${describeError(error)}.`, {
    cause: error,
  });
}

async function untilUsable(connection: Connection, namespace: string): Promise<void> {
  const deadline = Date.now() + USABLE_MS;
  for (;;) {
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace });
      return;
    } catch (error) {
      if ((error as { code?: number }).code !== NOT_FOUND || Date.now() > deadline) throw failure(error, namespace);
    }
    await delay(200);
  }
}
