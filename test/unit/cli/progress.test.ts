import { PassThrough } from 'node:stream';
import { barLine, lineDisplay } from '../../../src/cli/progress-bar.ts';
import { isWaiting, plainLine, viewOf } from '../../../src/cli/progress-view.ts';
import { RateMeter } from '../../../src/cli/rate-meter.ts';
import { type PendingActivity, withPending } from '../../../src/client/live-progress.ts';
import type { Progress } from '../../../src/contracts/run.ts';

const progress: Progress = {
  run: 'flights-2026-11-23',
  pipeline: 'flights',
  status: 'running',
  stage: 'extract',
  partitions: { planned: 7, extracted: 5, committed: 0 },
  rows: { expected: 3_000_000, read: 2_000_000, staged: 2_000_000, quarantined: 0, loaded: 0 },
  chunks: 24,
  stopped: [],
  note: '',
};

function copying(partition: string, rowsRead: number, more: Partial<PendingActivity> = {}): PendingActivity {
  return {
    workflowId: 'flights-2026-11-23/extract',
    activityId: partition,
    type: 'copyPartition',
    state: 'started',
    attempt: 1,
    heartbeat: { partition, rowsRead, rowsStaged: rowsRead, rowsQuarantined: 0, chunks: 1 },
    lastFailure: null,
    startedAt: null,
    nextAttemptAt: null,
    worker: '1@host',
    ...more,
  };
}

it('adds what is being copied to what was', () => {
  const meter = new RateMeter();
  const pending = [copying('2001-06', 100_000), copying('2001-07', 114_870, { worker: '2@host' })];
  meter.add(1_802_870, 0);
  const view = viewOf(withPending(progress, pending), meter, null, 1_000);
  expect(view.rows).toBe('2,214,870 of 3,000,000 rows   412,000/s   2 s left');
  expect(view.stage).toBe('extract 5 of 7 partitions · 2 workers');
  expect(view.partitions).toBe('2001-06, 2001-07');
  expect(barLine(view, view.share ?? 0, 120)).toBe(
    'flights  2001-06, 2001-07   ███████████████░░░░░  2,214,870 of 3,000,000 rows   412,000/s   2 s left',
  );
  expect(plainLine(view)).toBe('flights: extract 5 of 7 partitions · 2 workers · 2,214,870 of 3,000,000 rows, 412,000/s, 2 s left');
});

it('never goes back: a lost worker takes its heartbeats with it', () => {
  const meter = new RateMeter();
  viewOf(withPending(progress, [copying('2001-06', 500_000)]), meter, null, 0);
  const view = viewOf(withPending(progress, []), meter, null, 1_000);
  expect(view.rows).toContain('2,500,000 of 3,000,000 rows');
});

it('says what was retried and why', () => {
  const again = copying('2001-06', 10, { attempt: 2, lastFailure: { code: 'TimedOut', message: 'activity Heartbeat timeout' } });
  expect(viewOf(withPending(progress, [again]), new RateMeter(), null, 0).stage).toContain('1 retried (its worker was lost)');
});

it('says what it waits for, and for how long', () => {
  const failure = { code: 'DatabaseUnreachable', message: 'target postgres://db/app: connect ECONNREFUSED' };
  const waiting = copying('2001-06', 0, { state: 'scheduled', attempt: 5, lastFailure: failure, nextAttemptAt: new Date(98_000) });
  const live = withPending(progress, [waiting]);
  expect(isWaiting(live)).toBe(true);
  expect(viewOf(live, new RateMeter(), 30_000, 90_000).waiting).toBe(
    'waiting for 1 min: target postgres://db/app: connect ECONNREFUSED (attempt 5, next try in 8 s)',
  );
});

it('says that it is paused, and how it goes on', () => {
  const paused = withPending({ ...progress, status: 'paused' }, []);
  expect(viewOf(paused, new RateMeter(), null, 0).waiting).toBe('paused; "sluice resume flights-2026-11-23" lets it go on');
});

it('cuts the bar to the width of the terminal', () => {
  const view = viewOf(withPending(progress, []), new RateMeter(), null, 0);
  expect(barLine(view, 0.5, 40)).toHaveLength(39);
});

it('writes a line only when something changed, and at most one each 2 s', () => {
  const stream = new PassThrough();
  let now = 0;
  const display = lineDisplay(stream, () => now);
  const views = [2_000_000, 2_000_000, 2_100_000, 2_200_000].map((read) =>
    viewOf(withPending({ ...progress, rows: { ...progress.rows, read } }, []), new RateMeter(), null, 0),
  );
  for (const view of views) {
    display.show(view);
    now += 1_500;
  }
  expect(String(stream.read()).split('\n').filter(Boolean)).toEqual([
    'flights: extract 5 of 7 partitions · 2,000,000 of 3,000,000 rows',
    'flights: extract 5 of 7 partitions · 2,100,000 of 3,000,000 rows',
  ]);
});
