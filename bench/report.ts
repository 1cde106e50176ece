/** The figures as plain text. */
import { QUIET_SHARE } from './load-meter.ts';
import type { BenchResult, CaseResult } from './results.ts';

export function report(result: BenchResult): string {
  const { load } = result;
  const cases = [...(result.overhead ? [result.overhead] : []), ...result.cases];
  const parts = [
    `Medians of ${result.repeats}, in turn, in one run; ${result.workers} workers, ${load.cpus} CPUs, ${result.postgres}, Node ${result.node}.`,
    `By hand: ${result.byHand}. The time ratio is the median of the pairs.`,
    '',
    ...table(
      ['', 'rows', 'Sluice s', 'rows/s', 'by hand s', 'rows/s', 'time ratio', 'less overhead'],
      cases.map((each) => [
        each.case,
        count(each.rows),
        fixed(each.ours.seconds),
        count(each.ours.rowsPerSecond),
        fixed(each.limit.seconds),
        count(each.limit.rowsPerSecond),
        fixed(each.ratio),
        each.ratioWithoutOverhead === null ? '-' : fixed(each.ratioWithoutOverhead),
      ]),
    ),
    '',
    ...table(
      ['', 'CPU s: workers', 'database', 'Temporal', 'by hand: clients', 'database', 'peak MB: workers', 'by hand', 'others used'],
      cases.map((each) => [
        each.case,
        fixed(each.ours.cpuSeconds),
        fixed(each.ours.serverCpuSeconds),
        fixed(each.ours.temporalCpuSeconds),
        fixed(each.limit.cpuSeconds),
        fixed(each.limit.serverCpuSeconds),
        megabytes(each.ours.peakBytesPerProcess),
        megabytes(each.limit.peakBytes === null ? [] : [each.limit.peakBytes]),
        percent(each.foreignShare),
      ]),
    ),
    '',
    'Where the time of Sluice went, in seconds:',
    ...table(
      ['', ...spanNames(cases)],
      cases.map((each) => [each.case, ...spanNames(cases).map((name) => span(each, name))]),
    ),
    '',
    'All measurements, in seconds:',
    ...cases.map((each) => `  ${each.case}: Sluice ${each.ours.all.map(fixed).join(' ')}; by hand ${each.limit.all.map(fixed).join(' ')}`),
  ];
  if (result.takeover) {
    const { kills, seconds, anyChunkSeconds, all } = result.takeover;
    parts.push(
      '',
      `From SIGKILL of a worker to the first new chunk of a partition that it had in hand: ${fixed(seconds)} s ` +
        `(median of ${kills}: ${all.map(fixed).join(', ')}); of any partition: ${fixed(anyChunkSeconds)} s.`,
    );
  }
  parts.push(
    '',
    `Load when it began: ${load.atBegin.map(fixed).join(' ')}; other programs used ${percent(load.foreignShare)} of the machine.`,
  );
  if (load.noisy)
    parts.push(`noisy: more than the bench itself was running (over ${percent(QUIET_SHARE)}); these figures are not a result.`);
  if (result.quick) parts.push('quick: sizes too small to say anything about speed.');
  return parts.join('\n');
}

function spanNames(cases: readonly CaseResult[]): string[] {
  return Object.keys(cases[0]?.spans ?? {});
}

function span(of: CaseResult, name: string): string {
  const seconds = of.spans[name];
  return seconds === undefined ? '-' : fixed(seconds);
}

/** The first column to the left, figures to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

const fixed = (value: number) => value.toFixed(2);
const count = (value: number) => Math.round(value).toLocaleString('en-US');
const percent = (share: number) => `${Math.round(share * 100)} %`;

function megabytes(bytes: readonly number[]): string {
  return bytes.length === 0 ? '-' : bytes.map((each) => Math.round(each / 1e6)).join(' ');
}
