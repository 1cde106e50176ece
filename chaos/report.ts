/** The results as a table: for the terminal, and for docs/reliability.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { count, fixed, markdownTable, type Table } from '../bench/table.ts';
import type { LoadResult, Results } from './results.ts';

export function faultsTable({ faults }: Results): Table {
  return {
    head: ['fault', 'what is done', 'tried', 'survived', 'recovered, median s', 'worst s', 'rows lost', 'rows twice', 'rows copied again'],
    rows: Object.entries(faults).map(([name, each]) => {
      const sorted = [...each.recoverSeconds].sort((a, b) => a - b);
      return [
        ...[name, each.says, count(each.tried), count(each.survived)],
        ...(sorted.length === 0 ? ['-', '-'] : [fixed(median(sorted), 1), fixed(sorted.at(-1) ?? 0, 1)]),
        ...[count(each.rowsLost), count(each.rowsDuplicated), count(each.rowsCopiedAgain)],
      ];
    }),
  };
}

export function faultsJson({ faults }: Results): object[] {
  return Object.entries(faults).map(([fault, { recoverSeconds, tried, survived, rowsLost, rowsDuplicated, rowsCopiedAgain }]) => {
    const sorted = [...recoverSeconds].sort((a, b) => a - b);
    return {
      ...{ fault, tried, survived },
      recoverMedianSeconds: sorted.length === 0 ? null : median(sorted),
      recoverWorstSeconds: sorted.at(-1) ?? null,
      ...{ rowsLost, rowsDuplicated, rowsCopiedAgain },
    };
  });
}

export function loadTable(load: LoadResult): Table {
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  return {
    head: ['under load', 'measured'],
    rows: [
      ['runs at once, and in all', `${count(load.runs)}, ${count(load.ended)}`],
      ['workers, and how often one was killed', `${load.workers}, ${count(load.kills)} times`],
      ['all ended, with the right rows', load.survived ? 'yes' : 'no'],
      ['time', `${fixed(load.seconds, 0)} s, ${count(load.rowsPerSecond)} rows/s`],
      [
        'memory of a worker, at the beginning, at the end, at most',
        [load.workerBytes.first, load.workerBytes.last, load.workerBytes.most].map(megabytes).join(', '),
      ],
      [
        'a small run: alone, median, worst',
        [load.smallRunSeconds.alone, load.smallRunSeconds.median, load.smallRunSeconds.worst]
          .map((each) => `${fixed(each, 1)} s`)
          .join(', '),
      ],
    ],
  };
}

/** Writes the tables between `<!-- chaos:NAME -->` and `<!-- /chaos:NAME -->`. */
export async function writeDocument(file: string, template: string, results: Results): Promise<void> {
  let page = await readFile(file, 'utf8').catch(() => readFile(template, 'utf8'));
  const tried = Object.values(results.faults).reduce((sum, { tried: each }) => sum + each, 0);
  const setting = `Version ${results.version}, last on ${results.at.slice(0, 10)}: ${count(tried)} faults so far, over ${count(results.seeds.length)} seeds.`;
  page = replaceSection(page, 'faults', [setting, '', ...markdownTable(faultsTable(results))]);
  if (results.load)
    page = replaceSection(page, 'load', [`Measured on ${results.load.at.slice(0, 10)}.`, '', ...markdownTable(loadTable(results.load))]);
  await writeFile(file, page);
}

function replaceSection(page: string, name: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- chaos:${name} -->`, `<!-- /chaos:${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`reliability.md has no section between ${begin} and ${end}; put it back`);
  return `${page.slice(0, from + begin.length)}\n\n${lines.join('\n')}\n\n${page.slice(to)}`;
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
