/** What a run's progress looks like in words. Pure: told the time and what is known, it says what to show. */
import type { LiveProgress, PendingActivity } from '../client/live-progress.ts';
import type { Progress } from '../contracts/run.ts';
import { clip, count, duration, plural, rate, timeLeft } from './format.ts';
import type { RateMeter } from './rate-meter.ts';

/** What is shown of a run at one moment. */
export interface ProgressView {
  readonly pipeline: string;
  /** 0 to 1; null where nobody knows how much there is. */
  readonly share: number | null;
  /** `2001-01 ... 2001-07`: what is being copied. */
  readonly partitions: string;
  /** `2,214,870 of 3,000,000 rows   412,000/s   2 s left` */
  readonly rows: string;
  /** `extract 5 of 7 partitions · 2 workers · 1 retried (...)` */
  readonly stage: string;
  /** What it waits for, and for how long; null where it works. */
  readonly waiting: string | null;
}

export function viewOf(live: LiveProgress, meter: RateMeter, waitingSince: number | null, now: number): ProgressView {
  const { progress } = live;
  meter.add(live.rowsRead, now);
  const read = meter.highest;
  const { expected } = progress.rows;
  return {
    pipeline: progress.pipeline,
    share: shareOf(progress, read),
    partitions: namesInFlight(live.pending),
    rows: rowsText(progress, read, expected, meter),
    stage: [stageText(progress), ...attemptsText(live.pending)].join(' · '),
    waiting: waitingText(live, waitingSince, now),
  };
}

/** The activities that wait for another attempt after a failure. */
export function waitingActivities(pending: readonly PendingActivity[]): PendingActivity[] {
  return pending.filter((each) => each.state === 'scheduled' && each.attempt > 1 && each.lastFailure !== null);
}

/** Nothing moves: it is paused, or all that is to be done waits for another attempt. */
export function isWaiting({ progress, pending }: LiveProgress): boolean {
  if (progress.status === 'paused') return true;
  return waitingActivities(pending).length > 0 && !pending.some((each) => each.state === 'started' && each.attempt === 1);
}

/** One line of it all, for where there is no terminal. */
export function plainLine(view: ProgressView): string {
  return [`${view.pipeline}: ${view.stage}`, view.rows.replaceAll('   ', ', '), view.waiting].filter(Boolean).join(' · ');
}

function shareOf({ rows, stage, partitions }: Progress, read: number): number | null {
  if (stage === 'load' || stage === 'transform' || stage === 'done') return 1;
  if (rows.expected) return Math.min(1, read / rows.expected);
  return partitions.planned > 0 ? partitions.extracted / partitions.planned : null;
}

function rowsText({ stage, rows }: Progress, read: number, expected: number | null, meter: RateMeter): string {
  if (stage === 'plan') return '';
  const bad = rows.quarantined > 0 ? [`${count(rows.quarantined)} in quarantine`] : [];
  const amount = expected === null ? plural(read, 'row') : `${count(read)} of ${count(expected)} rows`;
  if (stage !== 'extract') return [amount, ...bad].join('   ');
  const speed = meter.perSecond();
  if (speed === null) return [amount, ...bad].join('   ');
  const left = expected !== null && speed > 0 && read < expected ? [`${timeLeft((expected - read) / speed)} left`] : [];
  return [amount, rate(speed), ...left, ...bad].join('   ');
}

function stageText({ stage, status, partitions, rows }: Progress): string {
  const of = (done: number) => `${count(done)} of ${plural(partitions.planned, 'partition')}`;
  const paused = status === 'paused' ? ', paused' : '';
  switch (stage) {
    case 'plan':
      return 'plan';
    case 'extract':
      return `extract ${of(partitions.extracted)}${paused}`;
    case 'transform':
      return `transform and check${paused}`;
    case 'load':
      return partitions.committed > 0 && partitions.committed < partitions.planned
        ? `load ${of(partitions.committed)}${paused}`
        : `load${paused}`;
    case 'done':
      return `${status}, ${plural(rows.loaded, 'row')} loaded`;
  }
}

function attemptsText(pending: readonly PendingActivity[]): string[] {
  const started = pending.filter((each) => each.state === 'started');
  const workers = new Set(started.map((each) => each.worker)).size;
  const retried = started.filter((each) => each.attempt > 1);
  const last = retried.find((each) => each.lastFailure)?.lastFailure;
  const why = last ? ` (${clip(last.code === 'TimedOut' ? 'its worker was lost' : last.message, 80)})` : '';
  return [...(workers > 0 ? [plural(workers, 'worker')] : []), ...(retried.length > 0 ? [`${retried.length} retried${why}`] : [])];
}

function waitingText(live: LiveProgress, since: number | null, now: number): string | null {
  const { progress, pending } = live;
  const forHowLong = since === null || now - since < 2_000 ? '' : ` for ${duration((now - since) / 1000)}`;
  const waiting = waitingActivities(pending);
  const [first] = waiting;
  if (first?.lastFailure) {
    const next = first.nextAttemptAt ? Math.ceil((first.nextAttemptAt.getTime() - now) / 1000) : 0;
    const again = next > 0 ? `, next try in ${next} s` : '';
    return `waiting${forHowLong}: ${clip(first.lastFailure.message, 160)} (attempt ${first.attempt}${again})`;
  }
  if (progress.status === 'paused') return `paused${forHowLong}; "sluice resume ${progress.run}" lets it go on`;
  return null;
}

function namesInFlight(pending: readonly PendingActivity[]): string {
  const names = [...new Set(pending.flatMap((each) => each.heartbeat?.partition ?? []))].sort();
  if (names.length <= 1) return names[0] ?? '';
  return names.length === 2 ? names.join(', ') : `${names[0]} ... ${names.at(-1)}`;
}
