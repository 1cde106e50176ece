/** What is said of a run that succeeded. */
import type { RunHandle } from '../client/run-handle.ts';
import type { QuarantineReason, RunSummary } from '../contracts/run.ts';
import { clip, count, duration, plural, rate } from './format.ts';

/** The object that `--json` prints. */
export interface SummaryJson {
  readonly run: string;
  readonly pipeline: string;
  readonly status: string;
  readonly rowsRead: number;
  readonly rowsLoaded: number;
  readonly rowsQuarantined: number;
  readonly partitions: number;
  readonly chunks: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** Address of the run in Temporal's Web UI; null where it is not known. */
  readonly webUi: string | null;
  /** How to connect to the database; null where it is not known here. */
  readonly database: string | null;
  /** The target was identical already: nothing was written. */
  readonly unchanged: boolean;
  readonly quarantine: readonly QuarantineReason[];
  readonly target: string;
  /** A synchronous standby of the target's server has acknowledged it; null where none has, and the pipeline ignores that. */
  readonly replicated: RunSummary['replicated'];
  readonly watermark: RunSummary['watermark'];
}

/** Seconds from the start of a run to its end, as Temporal has them. */
export async function secondsOf(run: RunHandle): Promise<number> {
  const described = await run.describe();
  // The start of the first execution, where the workflow has continued as new.
  const original = described.raw.workflowExtendedInfo?.originalStartTime;
  const started = original?.seconds ? Number(original.seconds) * 1000 + (original.nanos ?? 0) / 1e6 : described.startTime.getTime();
  return Math.max(0, ((described.closeTime?.getTime() ?? Date.now()) - started) / 1000);
}

export function summaryJson(summary: RunSummary, facts: { seconds: number; webUi: string | null; database: string | null }): SummaryJson {
  const seconds = Math.round(facts.seconds * 1000) / 1000;
  return {
    run: summary.run,
    pipeline: summary.pipeline,
    status: summary.status,
    rowsRead: summary.rowsRead,
    rowsLoaded: summary.rowsLoaded,
    rowsQuarantined: summary.rowsQuarantined,
    partitions: summary.partitions,
    chunks: summary.chunks,
    seconds,
    rowsPerSecond: seconds > 0 ? Math.round(summary.rowsRead / seconds) : summary.rowsRead,
    webUi: facts.webUi,
    database: facts.database,
    unchanged: summary.unchanged,
    quarantine: summary.quarantine,
    target: summary.target,
    replicated: summary.replicated,
    watermark: summary.watermark,
  };
}

/** The same in plain words. */
export function summaryText(summary: SummaryJson): string {
  const target = summary.target.replace(/^target /, '');
  const lines: [string, string][] = [
    ['read', `${plural(summary.rowsRead, 'row')} in ${plural(summary.partitions, 'partition')} (${plural(summary.chunks, 'chunk')})`],
    [
      'loaded',
      summary.unchanged
        ? `${plural(summary.rowsLoaded, 'row')}; ${target} was already identical: nothing was written`
        : `${plural(summary.rowsLoaded, 'row')} into ${target}`,
    ],
    ['quarantine', quarantineText(summary)],
    ['time', `${duration(summary.seconds)}, ${rate(summary.rowsPerSecond).replace('/s', ' rows/s')}`],
  ];
  if (summary.replicated === false) lines.push(['unreplicated', 'no synchronous standby had it when the run ended']);
  if (summary.webUi) lines.push(['Web UI', summary.webUi]);
  if (summary.database) lines.push(['database', /@/.test(summary.database) ? `psql '${summary.database}'` : summary.database]);
  return [`${summary.run}: ${summary.status}`, ...lines.map(([name, text]) => `  ${name.padEnd(10)}  ${text}`)].join('\n');
}

/** `3 rows: delay: less than -120 (3)` */
export function quarantineText({ rowsQuarantined, quarantine }: Pick<SummaryJson, 'rowsQuarantined' | 'quarantine'>): string {
  if (rowsQuarantined === 0) return 'no rows';
  const reasons = quarantine.map((each) => `${each.column ? `${each.column} ` : ''}${clip(each.reason, 80)} (${count(each.rows)})`);
  const rest = rowsQuarantined - quarantine.reduce((sum, each) => sum + each.rows, 0);
  return `${plural(rowsQuarantined, 'row')}: ${[...reasons, ...(rest > 0 ? [`and ${count(rest)} more`] : [])].join('; ')}`;
}
