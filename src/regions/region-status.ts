/** How the regions are: who is active, how far the others are behind, what is in flight. */
import { Client } from '@temporalio/client';
import { PIPELINE_WORKFLOW } from '../contracts/names.ts';
import { readActiveRegion } from '../ledger/regions.ts';
import type { Regions } from './regions.ts';
import { bytesBehind } from './replication.ts';

export interface RegionStatus {
  readonly region: string;
  /** Where Temporal of this region takes the namespace to be active; null where it does not answer. */
  readonly namespaceActiveIn: string | null;
  /** Events of open runs that the active region has and this one has not; null where that is not known. */
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
  readonly openRuns: readonly string[];
  /** What is not as it should be, in whole sentences. */
  readonly problems: readonly string[];
}

const MOST_RUNS = 200;

export async function regionsStatus(regions: Regions): Promise<RegionsStatus> {
  const newest = await regions.newestView();
  const nodes = new Map(await Promise.all(regions.all.map(async ({ name }) => [name, await regions.target(name).node()] as const)));
  const primaries = [...nodes].filter(([, node]) => node?.role === 'primary').map(([name]) => name);
  const [primary] = primaries.length > 1 ? primaries.filter((name) => name === newest?.active) : primaries;
  const events = newest ? await openEvents(regions, newest.active) : new Map<string, number>();
  const each = await Promise.all(
    regions.all.map(async ({ name }): Promise<RegionStatus> => {
      const view = await regions.view(name);
      const node = nodes.get(name) ?? null;
      const target = regions.target(name);
      return {
        region: name,
        namespaceActiveIn: view?.active ?? null,
        eventsBehind: view && newest ? await eventsBehind(regions, name, events) : null,
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
    openRuns: [...events.keys()],
    problems: problemsOf(newest?.active ?? null, writer?.region ?? null, each),
  };
}

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
    problems.push(`The namespace is active in region ${active}, and the target in region ${primaries[0]}: repeat the handover.`);
  }
  if (writer && active && writer !== active)
    problems.push(`Only workers of region ${writer} may write, and region ${active} is active: repeat the handover.`);
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

/** Lengths of the histories of open runs and their stages, where the namespace is active. */
async function openEvents(regions: Regions, active: string): Promise<Map<string, number>> {
  try {
    const { connection } = await regions.temporal(active);
    const client = new Client({ connection, namespace: regions.namespace });
    const found = new Map<string, number>();
    for await (const { workflowId, historyLength } of client.workflow.list({
      query: `WorkflowType = '${PIPELINE_WORKFLOW}' AND ExecutionStatus = 'Running'`,
    })) {
      found.set(workflowId, (await lengthOf(client, workflowId)) ?? historyLength);
      if (found.size >= MOST_RUNS) break;
    }
    return found;
  } catch {
    return new Map();
  }
}

async function eventsBehind(regions: Regions, name: string, events: ReadonlyMap<string, number>): Promise<number | null> {
  try {
    const { connection } = await regions.temporal(name);
    const client = new Client({ connection, namespace: regions.namespace });
    let behind = 0;
    for (const [workflowId, length] of events) behind += Math.max(0, length - ((await lengthOf(client, workflowId)) ?? 0));
    return behind;
  } catch {
    return null;
  }
}

async function lengthOf(client: Client, workflowId: string): Promise<number | null> {
  return await client.workflow
    .getHandle(workflowId)
    .describe()
    .then(({ historyLength }) => historyLength)
    .catch(() => null);
}
