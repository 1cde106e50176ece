/** Shows a run's progress: a bar on a terminal, plain lines elsewhere. */
import { MultiBar, type Options, type Params, type SingleBar } from 'cli-progress';
import pc from 'picocolors';
import { clip } from './format.ts';
import type { OutputStream } from './output.ts';
import { type ProgressView, plainLine } from './progress-view.ts';

export interface ProgressDisplay {
  /** How often it is worth asking, in milliseconds. */
  readonly everyMs: number;
  readonly show: (view: ProgressView) => void;
  /** A remark between. */
  readonly note: (text: string) => void;
  /** Leaves the stream to others. May be called twice. */
  readonly stop: () => void;
}

export function progressDisplay(stream: OutputStream): ProgressDisplay {
  return stream.isTTY ? barDisplay(stream) : lineDisplay(stream);
}

/** The shortest time between two lines, in milliseconds. */
const LINE_EVERY_MS = 2_000;

/** One line when something has changed, at most one each 2 s. */
export function lineDisplay(stream: OutputStream, now: () => number = Date.now): ProgressDisplay {
  let last = '';
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    everyMs: 500,
    show: (view) => {
      const line = plainLine(view);
      if (line === last || now() - lastAt < LINE_EVERY_MS) return;
      last = line;
      lastAt = now();
      stream.write(`${line}\n`);
    },
    note: (text) => stream.write(`${text}\n`),
    stop: () => {},
  };
}

function barDisplay(stream: OutputStream): ProgressDisplay {
  const bars = new MultiBar({
    stream,
    format: (_: Options, params: Params, payload: { draw?: (progress: number) => string }) => payload.draw?.(params.progress) ?? '',
    hideCursor: true,
    linewrap: false,
    fps: 10,
    clearOnComplete: true,
    emptyOnZero: true,
    forceRedraw: true,
  });
  let top: SingleBar | null = null;
  let bottom: SingleBar | null = null;
  let stopped = false;
  return {
    everyMs: 250,
    show: (view) => {
      if (stopped) return;
      const width = stream.columns ?? 80;
      const indent = ' '.repeat(view.pipeline.length + 2);
      const lines = {
        top: (share: number) => barLine(view, share, width),
        bottom: () => pc.dim(clip(`${view.waiting ?? view.stage}`, width - indent.length - 1)),
      };
      top ??= bars.create(1000, 0, { draw: lines.top });
      bottom ??= bars.create(1, 0, {});
      top.update(Math.round((view.share ?? 0) * 1000), { draw: lines.top });
      bottom.update(0, { draw: () => indent + (view.waiting ? pc.yellow(clip(view.waiting, width - indent.length - 1)) : lines.bottom()) });
    },
    note: (text) => {
      if (top && !stopped) bars.log(`${text}\n`);
      else stream.write(`${text}\n`);
    },
    stop: () => {
      if (stopped) return;
      stopped = true;
      bars.stop();
    },
  };
}

const BAR_WIDTH = 20;

/** `flights  2001-01 ... 2001-07   ███████████████░░░░░  2,214,870 of 3,000,000 rows   412,000/s   2 s left` */
export function barLine(view: ProgressView, share: number, width: number): string {
  const full = Math.round(share * BAR_WIDTH);
  const bar = view.share === null ? '' : `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}  `;
  const partitions = view.partitions && width >= 100 ? `${view.partitions}   ` : '';
  return clipLine(`${view.pipeline}  ${partitions}${bar}${view.rows}`, width - 1);
}

function clipLine(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line;
}
