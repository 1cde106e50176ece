/** `sluice region`: which of several regions works, and moving the work to another. */
import { type Failover, failover } from '../../regions/failover.ts';
import { handover } from '../../regions/handover.ts';
import { type ReconciledRun, reconcile } from '../../regions/reconcile.ts';
import { type RegionStatus, type RegionsStatus, regionsStatus } from '../../regions/region-status.ts';
import { Regions } from '../../regions/regions.ts';
import { rejoin } from '../../regions/rejoin.ts';
import type { Session } from '../session.ts';

export async function regionStatusCommand(session: Session): Promise<void> {
  await withRegions(session, async (regions) => {
    const status = await regionsStatus(regions);
    session.output.result({ ...status }, () => statusText(status));
  });
}

function statusText({ namespace, active, writer, regions, openRuns, problems }: RegionsStatus): string {
  const known = (count: number | null, unit: string) => (count === null ? 'not known' : count === 0 ? 'none' : `${count} ${unit}`);
  const targetText = ({ target, bytesBehind, synchronous }: RegionStatus) => {
    if (target === 'primary') return `primary, replication ${synchronous ? 'synchronous' : 'asynchronous'}`;
    return target === 'standby' ? `standby, behind: ${known(bytesBehind, 'bytes')}` : 'does not answer';
  };
  return [
    `Namespace "${namespace}" is active in region ${active ?? '(not known)'}${writer ? `; term ${writer.term}, since ${writer.since.toISOString()}` : ''}.`,
    ...regions.map((each) =>
      each.namespaceActiveIn === null
        ? `  ${each.region}   Temporal does not answer; target: ${targetText(each)}`
        : `  ${each.region}   histories behind: ${known(each.eventsBehind, 'events')}; target: ${targetText(each)}`,
    ),
    openRunsText(openRuns),
    ...problems,
  ].join('\n');
}

function openRunsText(open: readonly string[] | null): string {
  if (open === null) return 'Which runs are open is not known: no region answers.';
  if (open.length === 0) return 'No run is open.';
  return `Open runs: ${open.slice(0, 20).join(', ')}${open.length > 20 ? `, and ${open.length - 20} more` : ''}`;
}

export async function regionHandoverCommand(session: Session, to: string): Promise<void> {
  await withRegions(session, async (regions) => {
    const began = Date.now();
    await handover(regions, to, { say: (message) => session.output.note(message) });
    const seconds = (Date.now() - began) / 1000;
    session.output.result({ active: to, seconds }, `Region ${to} is active, after ${seconds.toFixed(1)} s. Nothing was lost.`);
  });
}

export async function regionFailoverCommand(session: Session, to: string, { force = false }: { readonly force?: boolean }): Promise<void> {
  await withRegions(session, async (regions) => {
    const began = Date.now();
    const done = await failover(regions, to, { force, say: (message) => session.output.note(message) });
    const seconds = (Date.now() - began) / 1000;
    session.output.note(
      `Region ${to} is active, after ${seconds.toFixed(1)} s. Looking after runs that had ended, or whose history did not arrive.`,
    );
    const { open: _compared, ...said } = done;
    const runs = await session.withClient((sluice) => reconcile(sluice, regions.target(to).database(), done));
    session.output.result({ active: to, seconds, ...said, runs }, () => failoverText(to, done, runs));
  });
}

function failoverText(to: string, { unreachable, lastReplicated, repeated }: Failover, runs: readonly ReconciledRun[]): string {
  const lost = runs.reduce((sum, { rowsLost }) => sum + (rowsLost ?? 0), 0);
  const unknown = runs.some(({ rowsLost }) => rowsLost === null);
  const none = unknown
    ? 'Of runs that could be compared, no committed row is missing.'
    : 'No committed row that a history knows of is missing.';
  return [
    `Region ${to} is active. ${runs.length === 0 ? 'No run was open.' : ''}`.trimEnd(),
    ...runs.map(({ run, outcome, rowsLost, rowsKept, note }) => {
      const rows = `${rowsKept} rows are committed${rowsLost ? `, ${rowsLost} were lost and are read again` : ''}`;
      return `  ${run}: ${outcome}; ${rows}${note ? ` (${note})` : ''}`;
    }),
    lost > 0 ? `Lost by asynchronous replication, and repeated: ${lost} rows.` : none,
    ...(repeated ? ['The namespace was active here before: what runs had repeated by then is not counted as lost.'] : []),
    ...(unreachable.length > 0
      ? [
          `Region ${unreachable.join(', ')} may still write. Runs that were started there in the last moments, and whose history had not arrived, are not ` +
            `known here${lastReplicated ? ` (the target has all that was committed until ${lastReplicated.toISOString()})` : ''}. When it is back: sluice region rejoin ${unreachable.join(', ')}.`,
        ]
      : []),
  ].join('\n');
}

export async function regionRejoinCommand(session: Session, name: string): Promise<void> {
  await withRegions(session, async (regions) => {
    const givenUp = await rejoin(regions, name, (message) => session.output.note(message));
    session.output.result({ region: name, givenUp }, () => {
      if (givenUp === null) return `Region ${name} follows. Its server did not answer before: what only it had is not known, and given up.`;
      const none = 'It had nothing that the active region has not.';
      return `Region ${name} follows. ${givenUp.length === 0 ? none : `Given up: ${givenUp.length} commits, named above.`}`;
    });
  });
}

export async function regionReplicationCommand(session: Session, how: string): Promise<void> {
  await withRegions(session, async (regions) => {
    const { active } = (await regions.newestView()) ?? {};
    const [standby] = regions.othersThan(active ?? '');
    const synchronous = how === 'synchronous';
    await regions.target(active ?? '').setSynchronous(synchronous ? (standby?.name ?? null) : null);
    session.output.result(
      { active: active ?? null, synchronous },
      synchronous
        ? `Commits in region ${active} wait for region ${standby?.name}: none is lost with region ${active}; while region ${standby?.name} is away, nothing is committed.`
        : `Commits in region ${active} do not wait for region ${standby?.name}: the last of them can be lost with region ${active}.`,
    );
  });
}

async function withRegions<T>(session: Session, work: (regions: Regions) => Promise<T>): Promise<T> {
  const regions = await Regions.open(session.env);
  try {
    return await work(regions);
  } finally {
    await regions.close();
  }
}
