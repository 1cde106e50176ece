/** The figures as tables: the same for the terminal and for docs/performance.md. */
import { PEERS } from './peers/peer.ts';
import type { BenchResult, CaseResult, OrchestrationResult, ScalingResult, VerificationResult } from './results.ts';
import { count, fixed, megabytes, percent, type Table } from './table.ts';

/** A worker's memory stays below this, at any number of rows. */
const MOST_BYTES = 300e6;
/** Where the limit is so many times as fast as another program, Sluice is to be twice as fast as it, and elsewhere faster. */
const FAR = 2.5;

/** Proving that the rows are equal costs at most this share of loading them. */
const VERIFY_SHARE = 0.5;

/** A row of many costs at most so many times what a row of few does. */
const FLAT = 1.1;
/** The same of memory: a moment's garbage counts in its peak. */
const FLAT_MEMORY = 1.25;

/** What a user asks first: how fast, and how far from the limit. */
export function speedTable(cases: readonly CaseResult[]): Table {
  return {
    head: ['case', 'rows', 'Sluice s', 'rows/s', 'by hand s', 'rows/s', 'ratio', 'less overhead', 'wanted', 'peak MB', 'on'],
    rows: cases.map((each) => [
      each.case,
      count(each.rows),
      fixed(each.ours.seconds),
      count(each.ours.rowsPerSecond),
      fixed(each.limit.seconds),
      count(each.limit.rowsPerSecond),
      fixed(each.ratio),
      each.ratioWithoutOverhead === null ? '-' : fixed(each.ratioWithoutOverhead),
      each.wanted.ratio === undefined ? '-' : `${fixed(each.wanted.ratio)}${met(each.ratio <= each.wanted.ratio)}`,
      peakOfWorker(each),
      each.at.slice(0, 10),
    ]),
  };
}

export function cpuTable(cases: readonly CaseResult[]): Table {
  return {
    head: ['CPU seconds', 'workers', 'database', 'Temporal', 'by hand: clients', 'database', 'peak MB: workers', 'by hand', 'others used'],
    rows: cases.map(({ case: name, ours, limit, foreignShare }) => [
      name,
      fixed(ours.cpuSeconds),
      fixed(ours.serverCpuSeconds),
      fixed(ours.temporalCpuSeconds),
      fixed(limit.cpuSeconds),
      fixed(limit.serverCpuSeconds),
      megabytes(ours.peakBytesPerProcess),
      megabytes(limit.peakBytes === null ? [] : [limit.peakBytes]),
      percent(foreignShare),
    ]),
  };
}

/** What is wanted of a case beside its ratio to the limit. */
export function checksTable(cases: readonly CaseResult[]): Table {
  const rows: string[][] = [];
  for (const { case: name, wanted, over, rowsPerCpuSecond } of cases) {
    if (wanted.over && over !== null) {
      const met_ = met(over <= wanted.over.ratio);
      rows.push([`${name}: time over "${wanted.over.case}"`, fixed(over), `at most ${fixed(wanted.over.ratio)}${met_}`]);
    }
    if (wanted.rowsPerCpuSecond !== undefined && rowsPerCpuSecond !== null) {
      const met_ = met(rowsPerCpuSecond >= wanted.rowsPerCpuSecond);
      rows.push([
        `${name}: rows a CPU second of the workers`,
        count(rowsPerCpuSecond),
        `at least ${count(wanted.rowsPerCpuSecond)}${met_}`,
      ]);
    }
  }
  return { head: ['checks and row functions', 'measured', 'wanted'], rows };
}

export function peersTable(cases: readonly CaseResult[]): Table {
  return {
    head: [
      'case',
      'Sluice rows/s',
      ...PEERS.flatMap((name) => [`${name} rows/s`, 'its time / ours', 'CPU s', 'server CPU s', 'peak MB']),
      'notes',
    ],
    rows: cases.map((each) => [
      each.case,
      count(each.ours.rowsPerSecond),
      ...PEERS.flatMap((name) => {
        const peer = each.peers[name];
        if (!peer) return ['null', '-', '-', '-', '-'];
        const peak = peer.peakBytes === null ? '-' : megabytes([peer.peakBytes]);
        const least = each.limit.rowsPerSecond > FAR * peer.rowsPerSecond ? 2 : 1;
        return [
          count(peer.rowsPerSecond),
          `${fixed(peer.overOurs)}${met(peer.overOurs > least)}`,
          fixed(peer.cpuSeconds),
          fixed(peer.serverCpuSeconds),
          peak,
        ];
      }),
      PEERS.filter((name) => each.peerNotes[name])
        .map((name) => `${name}: ${each.peerNotes[name]?.split('\n', 1)[0]?.slice(0, 200).replaceAll('|', '/')}`)
        .join('; '),
    ]),
  };
}

export function growthTable(cases: readonly CaseResult[]): Table {
  const sorted = [...cases].sort((a, b) => a.case.localeCompare(b.case) || a.rows - b.rows);
  const costOfRow = (each: CaseResult) => (each.ours.seconds / each.rows) * 1e6;
  return {
    head: [
      'growth',
      'rows',
      'Sluice s',
      'µs a row',
      'over the fewest rows',
      'worker CPU µs a row',
      'server CPU µs a row',
      'ratio',
      'peak MB',
      'over the fewest rows',
    ],
    rows: sorted.map((each) => {
      const fewest = sorted.find((other) => other.case === each.case) ?? each;
      const growth = costOfRow(each) / costOfRow(fewest);
      const memory = (each.ours.peakBytes ?? Number.NaN) / (fewest.ours.peakBytes ?? Number.NaN);
      return [
        each.case,
        count(each.rows),
        fixed(each.ours.seconds),
        fixed(costOfRow(each)),
        `${fixed(growth)}${met(growth <= FLAT)}`,
        fixed((each.ours.cpuSeconds / each.rows) * 1e6),
        fixed((each.ours.serverCpuSeconds / each.rows) * 1e6),
        fixed(each.ratio),
        peakOfWorker(each),
        Number.isNaN(memory) ? '-' : `${fixed(memory)}${met(memory <= FLAT_MEMORY)}`,
      ];
    }),
  };
}

export function scalingTable(results: readonly ScalingResult[]): Table {
  return {
    head: [
      'one run, more workers',
      'rows',
      'one worker s',
      'two workers s',
      'speed-up',
      'worker CPU s: one',
      'two',
      'server CPU s: one',
      'two',
    ],
    rows: results.map(({ case: name, rows, one, two, speedUp }) => [
      name,
      count(rows),
      fixed(one.seconds),
      fixed(two.seconds),
      fixed(speedUp),
      fixed(one.cpuSeconds),
      fixed(two.cpuSeconds),
      fixed(one.serverCpuSeconds),
      fixed(two.serverCpuSeconds),
    ]),
  };
}

export function verificationTable(results: readonly VerificationResult[]): Table {
  return {
    head: ['proof of equality', 'rows', 'load s', 'verify s', 'of its time', 'of its CPU', 'wanted'],
    rows: results.map(({ case: name, rows, load, verification, share, cpuShare }) => [
      name,
      count(rows),
      fixed(load.seconds),
      fixed(verification.seconds),
      fixed(share),
      fixed(cpuShare),
      `at most ${fixed(VERIFY_SHARE)}${met(cpuShare <= VERIFY_SHARE)}`,
    ]),
  };
}

export function orchestrationTable(result: OrchestrationResult): Table {
  const { steady } = result;
  const seconds = (value: number, most: number) => [`${fixed(value)} s`, `below ${most} s${met(value < most)}`];
  return {
    head: ['orchestration', 'measured', 'wanted'],
    rows: [
      ['from `sluice run` to the first chunk, warm', ...seconds(result.firstChunkSeconds, 1)],
      ['`sluice run` of one small partition, from start to exit', ...seconds(result.onePartitionSeconds, 1.5)],
      [
        `each further partition (of ${count(result.furtherPartitions)})`,
        `${fixed(result.furtherPartitionSeconds * 1000, 1)} ms`,
        `below 15 ms${met(result.furtherPartitionSeconds < 0.015)}`,
      ],
      [
        `${count(steady.partitions)} partitions: rate of the first and the last tenth`,
        `${count(steady.firstPerSecond)} and ${count(steady.lastPerSecond)} a second`,
        'steady',
      ],
      ['`sluice dev` ready, warm', ...seconds(result.devReadySeconds, 5)],
    ],
  };
}

export function takeoverLine(takeover: NonNullable<BenchResult['takeover']>): string {
  const { kills, seconds, anyChunkSeconds, all } = takeover;
  return (
    `From SIGKILL of a worker to the first new chunk of a partition that it had in hand: ${fixed(seconds)} s ` +
    `(median of ${kills}: ${all.map((each) => fixed(each)).join(', ')}); of any partition: ${fixed(anyChunkSeconds)} s.`
  );
}

function peakOfWorker({ ours }: CaseResult): string {
  return ours.peakBytes === null ? '-' : `${megabytes([ours.peakBytes])}${met(ours.peakBytes < MOST_BYTES)}`;
}

function met(is: boolean): string {
  return is ? '' : ' (missed)';
}
