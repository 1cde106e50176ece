import { type PendingActivity, pendingOfRun } from '../../client/live-progress.ts';
import { RunFailedError } from '../../client/run-failed-error.ts';
import type { RunHandle } from '../../client/run-handle.ts';
import type { ListedStatus } from '../../client/run-info.ts';
import { workflowUrl } from '../../client/web-ui.ts';
import type { Progress, RunSummary } from '../../contracts/run.ts';
import { describeError } from '../../errors.ts';
import { clip, count, duration, instant, plural, table } from '../format.ts';
import { nextStep } from '../next-step.ts';
import { type LedgerRun, readLedgerRun } from '../run-ledger.ts';
import type { Session } from '../session.ts';
import { shownDatabase } from '../shown-database.ts';
import { quarantineText } from '../summary.ts';

/** How long a worker may take to say how far the run is. */
const ANSWER_MS = 4_000;

/** `sluice show RUN`: where a run stands, what it waits for, and what to do. */
export async function showCommand(session: Session, id: string): Promise<void> {
  await session.withClient(async (sluice) => {
    const info = await sluice.info(id);
    const start = await sluice.startOf(id);
    const run = sluice.get(id);
    const open = isOpen(info.status);
    const [progress, pending, ended] = await Promise.all([
      run.progress({ timeoutMs: ANSWER_MS }).catch(() => null),
      open ? pendingOfRun(sluice.temporal, id) : [],
      open ? null : endOf(run),
    ]);
    const database = await session.database();
    const ledger = database ? await readLedgerRun(database.url, start.runKey).catch((error: unknown) => describeError(error)) : null;
    const known = typeof ledger === 'string' ? null : ledger;
    const status: ListedStatus = open && progress ? progress.status : info.status;
    const answer = {
      run: id,
      pipeline: start.pipeline,
      params: start.params,
      status,
      stage: progress?.stage ?? null,
      startedAt: info.startedAt.toISOString(),
      closedAt: info.closedAt?.toISOString() ?? null,
      reason: ended?.reason ?? null,
      progress,
      summary: ended?.summary ?? null,
      runKey: known?.runKey ?? start.runKey,
      source: known?.source ?? null,
      target: known?.target ?? null,
      partitions: known?.partitions ?? [],
      partitionCounts: known?.partitionCounts ?? {},
      quarantine: known?.quarantine ?? ended?.summary?.quarantine ?? [],
      stopped: progress?.stopped ?? [],
      activities: pending.map(activityJson),
      next: nextStep(id, status, { pending, answers: progress !== null, stopped: progress?.stopped.length ?? 0 }),
      webUi: workflowUrl(sluice.settings.webUi, sluice.settings.namespace, id, info.runId),
      database: shownDatabase(database),
    };
    session.output.result(answer, () => text(answer, pending, known, typeof ledger === 'string' ? ledger : null));
  });
}

function text(
  answer: {
    run: string;
    pipeline: string;
    params: object;
    status: string;
    startedAt: string;
    closedAt: string | null;
    reason: string | null;
    progress: Progress | null;
    summary: RunSummary | null;
    source: string | null;
    target: string | null;
    next: string;
    webUi: string | null;
    stopped: readonly { name: string; reason: string }[];
  },
  pending: readonly PendingActivity[],
  ledger: LedgerRun | null,
  ledgerProblem: string | null,
): string {
  const { progress, summary } = answer;
  const params = Object.keys(answer.params).length > 0 ? ` ${JSON.stringify(answer.params)}` : '';
  const seconds = (Date.parse(answer.closedAt ?? new Date().toISOString()) - Date.parse(answer.startedAt)) / 1000;
  const lines: [string, string][] = [
    ['pipeline', answer.pipeline + params],
    [
      'started',
      `${instant(new Date(answer.startedAt))} UTC, ${answer.closedAt ? `ended after ${duration(seconds)}` : `${duration(seconds)} ago`}`,
    ],
  ];
  if (answer.source && answer.target) lines.push(['moves', `${answer.source} → ${answer.target}`]);
  if (progress) lines.push(['stages', stagesText(progress, answer.closedAt !== null)]);
  if (progress || summary) lines.push(['rows', rowsText(progress, summary)]);
  if (ledger) lines.push(['partitions', countsText(ledger.partitionCounts)]);
  if (ledger && ledger.quarantine.length > 0) {
    const rowsQuarantined = ledger.quarantine.reduce((sum, each) => sum + each.rows, 0);
    lines.push([
      'quarantine',
      `${quarantineText({ rowsQuarantined, quarantine: ledger.quarantine })}; select * from sluice.quarantine where run_key = '${ledger.runKey}'`,
    ]);
  }
  for (const each of answer.stopped) lines.push(['stopped', `${each.name}: ${each.reason}`]);
  for (const each of pending) lines.push([each.attempt > 1 && each.state === 'scheduled' ? 'waits' : 'works', activityText(each)]);
  if (answer.reason) lines.push(['reason', answer.reason]);
  if (ledgerProblem) lines.push(['ledger', `cannot be read: ${ledgerProblem}`]);
  lines.push(['next', answer.next]);
  if (answer.webUi) lines.push(['Web UI', answer.webUi]);
  const details = ledger?.partitions.some((each) => each.status !== 'loaded') ? `\n\n${partitionsTable(ledger)}` : '';
  return [`${answer.run}: ${answer.status}`, ...lines.map(([name, said]) => `  ${name.padEnd(10)}  ${said}`)].join('\n') + details;
}

const STAGES = ['plan', 'extract', 'transform', 'load', 'done'] as const;

/** `plan done, extract 5 of 7 partitions, transform, load` */
function stagesText({ stage, partitions }: Progress, ended: boolean): string {
  const at = STAGES.indexOf(stage);
  const here = ended ? 'ended' : 'now';
  return STAGES.slice(0, 4)
    .map((each, index) => {
      if (index < at) return `${each} done`;
      if (index > at) return each;
      return each === 'extract'
        ? `extract ${count(partitions.extracted)} of ${plural(partitions.planned, 'partition')} ${here}`
        : `${each} ${here}`;
    })
    .join(', ');
}

function rowsText(progress: Progress | null, summary: RunSummary | null): string {
  const rows = progress?.rows;
  const read = summary?.rowsRead ?? rows?.read ?? 0;
  const of = rows?.expected == null ? '' : ` of ${count(rows.expected)}`;
  const loaded = summary?.rowsLoaded ?? rows?.loaded ?? 0;
  const unchanged = summary?.unchanged ? ' (the target was already identical: nothing was written)' : '';
  const bad = summary?.rowsQuarantined ?? rows?.quarantined ?? 0;
  return `${count(read)}${of} read in ${plural(summary?.chunks ?? progress?.chunks ?? 0, 'chunk')}, ${count(loaded)} loaded${unchanged}, ${count(bad)} in quarantine`;
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return (
    Object.entries(counts)
      .map(([status, number]) => `${count(number)} ${status}`)
      .join(', ') || 'none'
  );
}

function partitionsTable({ partitions }: LedgerRun): string {
  return table(
    ['PARTITION', 'STATUS', 'CHUNKS', 'ROWS READ', 'QUARANTINED', 'ATTEMPTS'],
    partitions.map((each) => [each.name, each.status, each.chunks ?? '', each.rowsRead ?? '', each.rowsQuarantined, each.attempts ?? '']),
  );
}

function activityText(each: PendingActivity): string {
  const what = each.heartbeat
    ? `copy ${each.heartbeat.partition}: ${plural(each.heartbeat.rowsRead, 'row')} in ${plural(each.heartbeat.chunks, 'chunk')}`
    : each.type;
  const where = each.state === 'started' && each.worker ? ` on ${each.worker}` : '';
  if (each.attempt === 1 && !each.lastFailure) return `${what}${where}${each.state === 'scheduled' ? ', not taken by a worker yet' : ''}`;
  const wait = each.nextAttemptAt ? Math.max(0, (each.nextAttemptAt.getTime() - Date.now()) / 1000) : 0;
  const again = each.state === 'scheduled' ? `, next in ${duration(wait)}` : '';
  return `${what}${where} (attempt ${each.attempt}${again}; before: ${clip(each.lastFailure?.message ?? 'unknown', 240)})`;
}

function activityJson(each: PendingActivity) {
  const { heartbeat, startedAt, nextAttemptAt, ...rest } = each;
  return {
    ...rest,
    partition: heartbeat?.partition ?? null,
    rowsRead: heartbeat?.rowsRead ?? null,
    startedAt: startedAt?.toISOString() ?? null,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
  };
}

async function endOf(run: RunHandle): Promise<{ summary: RunSummary | null; reason: string | null }> {
  try {
    return { summary: await run.result(), reason: null };
  } catch (error) {
    return { summary: null, reason: error instanceof RunFailedError ? error.message : describeError(error) };
  }
}

function isOpen(status: ListedStatus): boolean {
  return status === 'planning' || status === 'running' || status === 'paused';
}
