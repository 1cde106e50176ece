/** How the regions are: who is active, how far the others are behind, what is in flight. */
import { Client, WorkflowNotFoundError } from '@temporalio/client';
import { listRuns } from '../client/run-info.ts';
import { readActiveRegion } from '../ledger/regions.ts';
import { MOST_RUNS } from './compare-open-runs.ts';
import { inParallel } from './in-parallel.ts';
import type { Regions } from './regions.ts';
import { bytesBehind } from './replication.ts';

export interface RegionStatus {
  readonly region: string;
  /** Where Temporal of this region takes the namespace to be active; null where it does not answer. */
  readonly namespaceActiveIn: string | null;
  /** Events of open workflows that the active region has and this one has not; null where that is not known. */
  readonly eventsBehind: number | null;
  /** Null where nobody answers. */
  readonly target: 'primary' | 'standby' | null;
  /** A standby gets what the primary writes. */
  readonly streaming: boolean;
  readonly bytesBehind: number | null;
  /** Commits wait for the other region's standby; null where that is not known, or it is no primary. */
  readonly synchronous: boolean | null;
}

export interface RegionsStatus {
  readonly namespace: string;
  /** Where the namespace is active by the newest that any region says. */
  readonly active: string | null;
  /** The region whose workers may write according to the ledger, and its term. */
  readonly writer: { readonly region: string; readonly term: number; readonly since: Date } | null;
  readonly regions: readonly RegionStatus[];
  /** As the active region says, or else another one; null where none answers. */
  readonly openRuns: readonly string[] | null;
  /** What is not as it should be, in whole sentences. */
  readonly problems: readonly string[];
}

/** Open workflows whose histories are compared; of more, nobody says how far they are behind. */
const MOST_COMPARED = 1_000;
const AT_A_TIME = 16;
const ANSWER_MS = 10_000;

export async function regionsStatus(regions: Regions): Promise<RegionsStatus> {
  const newest = await regions.newestView();
  const nodes = new Map(await Promise.all(regions.all.map(async ({ name }) => [name, await regions.target(name).node()] as const)));
  const primaries = [...nodes].filter(([, node]) => node?.role === 'primary').map(([name]) => name);
  const [primary] = primaries.length > 1 ? primaries.filter((name) => name === newest?.active) : primaries;
  const events = newest ? await openEvents(regions, newest.active) : null;
  const each = await Promise.all(
    regions.all.map(async ({ name }): Promise<RegionStatus> => {
      const view = await regions.view(name);
      const node = nodes.get(name) ?? null;
      const target = regions.target(name);
      return {
        region: name,
        namespaceActiveIn: view?.active ?? null,
        eventsBehind: view && events ? await eventsBehind(regions, name, events) : null,
        target: node?.role ?? null,
        streaming: node?.streaming ?? false,
        bytesBehind: node?.role === 'standby' && primary ? await bytesBehind(regions.target(primary), target).catch(() => null) : null,
        synchronous: node?.role === 'primary' ? await target.isSynchronous().catch(() => null) : null,
      };
    }),
  );
  const writer = primary ? await readActiveRegion(regions.target(primary).database()).catch(() => null) : null;
  return {
    namespace: regions.namespace,
    active: newest?.active ?? null,
    writer,
    regions: each,
    openRuns: await openRuns(regions, newest?.active ?? null),
    problems: problemsOf(newest?.active ?? null, writer?.region ?? null, each),
  };
}

/** A move that ended in the middle. */
const AGAIN = 'repeat the command that moved it (handover or failover)';

function problemsOf(active: string | null, writer: string | null, each: readonly RegionStatus[]): string[] {
  const problems: string[] = [];
  const primaries = each.filter(({ target }) => target === 'primary').map(({ region }) => region);
  if (primaries.length === 0) problems.push('No region has a primary of the target: runs wait.');
  if (primaries.length > 1) {
    problems.push(
      `Regions ${primaries.join(' and ')} both have a primary of the target. What was written in the one that is not active is not seen by the other: sluice region rejoin.`,
    );
  }
  if (primaries.length === 1 && active && primaries[0] !== active) {
    problems.push(`The namespace is active in region ${active}, and the target in region ${primaries[0]}: ${AGAIN}.`);
  }
  if (writer && active && writer !== active)
    problems.push(`Only workers of region ${writer} may write, and region ${active} is active: ${AGAIN}.`);
  for (const { region, namespaceActiveIn, target, streaming } of each) {
    if (namespaceActiveIn === null) problems.push(`Temporal in region ${region} does not answer.`);
    else if (namespaceActiveIn !== active) problems.push(`Temporal in region ${region} has not heard yet that region ${active} is active.`);
    if (target === null) problems.push(`The target in region ${region} does not answer.`);
    if (target === 'standby' && !streaming) {
      problems.push(`The target in region ${region} gets nothing from the primary. If it was away: sluice region rejoin ${region}.`);
    }
  }
  return problems;
}

async function ask<T>(regions: Regions, name: string, question: (client: Client) => Promise<T>): Promise<T | null> {
  try {
    const { connection } = await regions.temporal(name);
    const client = new Client({ connection, namespace: regions.namespace });
    return await client.withDeadline(Date.now() + ANSWER_MS, () => question(client));
  } catch {
    return null;
  }
}

/** What is in flight: asked of the active region first. */
async function openRuns(regions: Regions, active: string | null): Promise<string[] | null> {
  const names = regions.all.map(({ name }) => name).sort((a, b) => Number(b === active) - Number(a === active));
  for (const name of names) {
    const open = await ask(regions, name, (client) => listRuns(client, { open: true, limit: MOST_RUNS }));
    if (open) return open.map(({ id }) => id);
  }
  return null;
}

/** Lengths of the histories of everything that is open where the namespace is active, by the id of the execution. */
async function openEvents(regions: Regions, active: string): Promise<ReadonlyMap<string, HistoryLength> | null> {
  return await ask(regions, active, async (client) => {
    const open: Execution[] = [];
    for await (const { workflowId, runId } of client.workflow.list({ query: `ExecutionStatus = 'Running'` })) {
      open.push({ workflowId, runId });
      if (open.length > MOST_COMPARED) throw new Error('too many to compare');
    }
    const lengths = await inParallel(open, AT_A_TIME, async (each) => ({ ...each, length: await lengthOf(client, each) }));
    return new Map(lengths.map((each) => [each.runId, each]));
  });
}

interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

interface HistoryLength extends Execution {
  readonly length: number;
}

async function eventsBehind(regions: Regions, name: string, events: ReadonlyMap<string, HistoryLength>): Promise<number | null> {
  return await ask(regions, name, async (client) => {
    const behind = await inParallel([...events.values()], AT_A_TIME, async (each) =>
      Math.max(0, each.length - (await lengthOf(client, each))),
    );
    return behind.reduce((sum, each) => sum + each, 0);
  });
}

/** 0 where there is none. @throws where nobody answers */
async function lengthOf(client: Client, { workflowId, runId }: Execution): Promise<number> {
  try {
    return (await client.workflow.getHandle(workflowId, runId).describe()).historyLength;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 0;
    throw error;
  }
}
