/** The figures as plain text. */
import { QUIET_SHARE } from './load-meter.ts';
import type { BenchResult, CaseResult } from './results.ts';
import { fixed, percent, plainTable, type Table } from './table.ts';
import {
  checksTable,
  cpuTable,
  growthTable,
  orchestrationTable,
  peersTable,
  scalingTable,
  speedTable,
  takeoverLine,
  verificationTable,
} from './tables.ts';

export function report(result: BenchResult): string {
  const { load } = result;
  const cases = [...(result.overhead ? [result.overhead] : []), ...result.cases];
  const parts = [
    `Medians of ${result.repeats}, in turn, in one run; ${result.workers} workers, ${load.cpus} CPUs, ${result.postgres}, Node ${result.node}.`,
    `By hand: ${result.byHand}. The ratio is the median of the pairs.`,
  ];
  const add = (table: Table) => {
    if (table.rows.length > 0) parts.push('', ...plainTable(table));
  };
  add(speedTable(cases));
  add(cpuTable(cases));
  add(checksTable(result.cases));
  if (result.peers.length > 0) {
    parts.push('', `Other programs on the same servers: ${result.peers.join('; ')}.`);
    add(peersTable(result.cases));
  }
  add(growthTable(result.growth));
  add(scalingTable(result.scaling));
  add(verificationTable(result.verification));
  if (result.orchestration) add(orchestrationTable(result.orchestration));
  if (cases.length > 0) {
    add(spansTable(cases));
    parts.push('', 'All measurements, in seconds:', ...cases.map(allMeasurements));
  }
  if (result.takeover) parts.push('', takeoverLine(result.takeover));
  parts.push(
    '',
    `Load when it began: ${load.atBegin.map((each) => fixed(each)).join(' ')}; other programs used ${percent(load.foreignShare)} of the machine.`,
  );
  if (load.noisy)
    parts.push(`noisy: more than the bench itself was running (over ${percent(QUIET_SHARE)}); these figures are not a result.`);
  if (result.quick) parts.push('quick: sizes too small to say anything about speed.');
  return parts.join('\n');
}

function spansTable(cases: readonly CaseResult[]): Table {
  const names = [...new Set(cases.flatMap((each) => Object.keys(each.spans)))];
  const span = (of: CaseResult, name: string) => {
    const seconds = of.spans[name];
    return seconds === undefined ? '-' : fixed(seconds);
  };
  return {
    head: ['where the time of Sluice went, in seconds', ...names],
    rows: cases.map((each) => [each.case, ...names.map((name) => span(each, name))]),
  };
}

function allMeasurements({ case: name, ours, limit }: CaseResult): string {
  const list = (values: readonly number[]) => values.map((each) => fixed(each)).join(' ');
  return `  ${name}: Sluice ${list(ours.all)}; by hand ${list(limit.all)}`;
}
