/** The results as a table: for the terminal, and for docs/reliability.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { replaceSection } from '../bench/page-section.ts';
import { median } from '../bench/results.ts';
import { count, fixed, markdownTable, type Table } from '../bench/table.ts';
import type { Call, Counted, LoadResult, PromisesResult, RegionsResult, Results } from './results.ts';

export function faultsTable({ faults }: Results): Table {
  return {
    head: [
      'fault',
      'what is done',
      'tried',
      'survived',
      'recovered, median s',
      'worst s',
      'promised s',
      'later',
      'rows lost',
      'rows twice',
      'rows copied again',
    ],
    rows: Object.entries(faults).map(([name, each]) => {
      const { recoverMedianSeconds, recoverWorstSeconds } = recovered(each);
      return [
        ...[name, each.says, count(each.tried), count(each.survived)],
        ...[recoverMedianSeconds, recoverWorstSeconds, each.promisedSeconds].map((seconds) => (seconds === null ? '-' : fixed(seconds, 1))),
        laterThanPromised(each),
        ...[count(each.rowsLost), count(each.rowsDuplicated), count(each.rowsCopiedAgain)],
      ];
    }),
  };
}

/** Which code was broken, and how often. */
export function callsTable({ calls }: Results): Table {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const name = `${call.at.slice(0, 10)} ${call.commit}`;
    groups.set(name, [...(groups.get(name) ?? []), call]);
  }
  return {
    head: ['on', 'commit', 'faults tried', 'survived'],
    rows: [...groups.values()].map((group) => {
      const sum = (of: 'tried' | 'survived') => count(group.reduce((total, each) => total + each[of], 0));
      const [first] = group;
      return [first?.at.slice(0, 10) ?? '', first?.commit ?? 'not known', sum('tried'), sum('survived')];
    }),
  };
}

export function faultsJson({ faults }: Results): object[] {
  return Object.entries(faults).map(([fault, each]) => {
    const { tried, survived, rowsLost, rowsDuplicated, rowsCopiedAgain } = each;
    return { fault, tried, survived, ...recovered(each), rowsLost, rowsDuplicated, rowsCopiedAgain };
  });
}

/** How many of those that were measured. */
function laterThanPromised({ recoverSeconds, promisedSeconds }: Counted): string {
  if (promisedSeconds === null) return '-';
  return `${count(recoverSeconds.filter((seconds) => seconds > promisedSeconds).length)} of ${count(recoverSeconds.length)}`;
}

/** Null where no partition was in hand when it broke. */
function recovered({ recoverSeconds }: Counted): { recoverMedianSeconds: number | null; recoverWorstSeconds: number | null } {
  if (recoverSeconds.length === 0) return { recoverMedianSeconds: null, recoverWorstSeconds: null };
  return { recoverMedianSeconds: median(recoverSeconds), recoverWorstSeconds: Math.max(...recoverSeconds) };
}

export function loadTable(load: LoadResult): Table {
  return {
    head: ['under load', 'measured'],
    rows: [
      ['runs at once, and in all', `${count(load.runs)}, ${count(load.ended)}`],
      ['workers, and how often one was killed', `${load.workers}, ${count(load.kills)} times`],
      ['all ended, with the right rows', load.survived ? 'yes' : 'no'],
      ['time', `${fixed(load.seconds, 0)} s, ${count(load.rowsPerSecond)} rows/s`],
      [
        'memory of a worker that lived on, median of each tenth of the time; of any worker, at most',
        `${load.workerBytes.tenths.map((bytes) => Math.round(bytes / 1e6)).join(', ')}; ${Math.round(load.workerBytes.most / 1e6)} MB`,
      ],
      [
        `a small run: alone; among ${count(load.runs)} small ones, median; with large ones between them, median, worst`,
        [load.smallRunSeconds.alone, load.smallRunSeconds.among, load.smallRunSeconds.median, load.smallRunSeconds.worst]
          .map((each) => `${fixed(each, 1)} s`)
          .join(', '),
      ],
      ...load.problems.map((problem) => ['not as promised', problem]),
    ],
  };
}

export function promisesTable({ faults }: PromisesResult): Table {
  return {
    head: ['one part is lost', 'times', 'recovered, median s', 'worst s', 'of which failover, median s', 'after it, worst s', 'promised s'],
    rows: faults.map(({ fault, recoverSeconds, failoverSeconds, promisedSeconds }) => {
      const after = recoverSeconds.map((seconds, nth) => seconds - (failoverSeconds[nth] ?? 0));
      const hasFailover = failoverSeconds.length > 0;
      return [
        ...[fault, count(recoverSeconds.length), fixed(median(recoverSeconds), 1), fixed(Math.max(...recoverSeconds), 1)],
        ...[hasFailover ? fixed(median(failoverSeconds), 1) : '-', hasFailover ? fixed(Math.max(...after), 1) : '-'],
        hasFailover ? `failover + ${fixed(promisedSeconds, 0)}` : fixed(promisedSeconds, 0),
      ];
    }),
  };
}

export function regionsTable({ steps }: RegionsResult): Table {
  const seconds = (value: number | null) => (value === null ? '-' : fixed(value, 1));
  const rows = (value: number | null) => (value === null ? '-' : count(value));
  return {
    head: [
      'two regions',
      'as promised',
      'recovery time, s',
      'nothing moved, at most, s',
      'rows lost (recovery point)',
      'rows said to be lost',
    ],
    rows: steps.map((each) => [
      ...[
        each.step,
        each.problems.length > 0 ? 'no' : each.late ? `late: ${each.late}` : 'yes',
        seconds(each.recoverSeconds),
        seconds(each.stallSeconds),
      ],
      ...[rows(each.rowsLost), rows(each.rowsSaidLost)],
    ]),
  };
}

/** Writes the tables between `<!-- chaos:NAME -->` and `<!-- /chaos:NAME -->`. */
export async function writeDocument(file: string, template: string, results: Results): Promise<void> {
  let page = await readFile(file, 'utf8').catch(() => readFile(template, 'utf8'));
  const tried = Object.values(results.faults).reduce((sum, { tried: each }) => sum + each, 0);
  const days = markdownTable(callsTable(results));
  const setting = `Version ${results.version}, last on ${results.at.slice(0, 10)}: ${count(tried)} faults so far.`;
  page = replaceSection(page, 'chaos:faults', [setting, '', ...markdownTable(faultsTable(results)), '', ...days], 'reliability.md');
  if (results.load) {
    const lines = [`Measured on ${results.load.at.slice(0, 10)}.`, '', ...markdownTable(loadTable(results.load))];
    page = replaceSection(page, 'chaos:load', lines, 'reliability.md');
  }
  if (results.promises) {
    const lines = [`Measured on ${results.promises.at.slice(0, 10)}.`, '', ...markdownTable(promisesTable(results.promises))];
    page = replaceSection(page, 'chaos:promises', lines, 'reliability.md');
  }
  if (results.regions) {
    const lines = [`Measured on ${results.regions.at.slice(0, 10)}.`, '', ...markdownTable(regionsTable(results.regions))];
    page = replaceSection(page, 'chaos:regions', lines, 'reliability.md');
  }
  await writeFile(file, page);
}
