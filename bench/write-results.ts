/** Writes the figures: results.json and figures.json for programs, the tables of docs/performance.md for people. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceSection } from './page-section.ts';
import { type BenchResult, type BenchSetting, mergeCases } from './results.ts';
import { ROOT } from './stack.ts';
import { count, markdownTable, percent, type Table } from './table.ts';
import {
  checksTable,
  growthTable,
  orchestrationTable,
  peersTable,
  scalingTable,
  speedTable,
  takeoverLine,
  verificationTable,
} from './tables.ts';

const RESULTS = 'results.json';
const FIGURES = 'figures.json';

/** A part of the document between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. */
type Section = 'cases' | 'growth' | 'scaling' | 'verification' | 'orchestration';

/**
 * Writes what was measured and leaves the other suites' figures as they are.
 *
 * @param to.out a folder for all of it; null: bench/ and docs/ of this repository
 * @param to.merge cases that were not measured keep their figures too
 * @returns the files written
 */
export async function writeResults(
  measured: BenchResult,
  { out, merge }: { readonly out: string | null; readonly merge: boolean },
): Promise<string[]> {
  const folder = out ?? join(ROOT, 'bench');
  const document = join(out ?? join(ROOT, 'docs'), 'performance.md');
  await mkdir(folder, { recursive: true });
  const written: string[] = [];
  const write = async (file: string, text: string) => {
    await writeFile(file, text);
    written.push(file);
  };

  const known = JSON.parse(await readFile(join(folder, FIGURES), 'utf8').catch(() => '{}'));
  const before = JSON.parse(await readFile(join(folder, RESULTS), 'utf8').catch(() => '[]'));
  const peers = measured.peers.length > 0 ? measured.peers : (known.cases?.setting.peers ?? []);
  const takeover = measured.takeover ?? known.cases?.takeover ?? null;
  const result =
    merge && measured.cases.length > 0 ? { ...measured, peers, takeover, cases: mergeCases(before, measured.cases) } : measured;
  if (result.cases.length > 0) await write(join(folder, RESULTS), `${JSON.stringify(result.cases, null, 2)}\n`);
  await write(join(folder, FIGURES), `${JSON.stringify({ ...known, ...figures(result) }, null, 2)}\n`);

  // The page of the repository is also what a page elsewhere begins as.
  let page = await readFile(document, 'utf8').catch(() => readFile(join(ROOT, 'docs/performance.md'), 'utf8'));
  for (const [name, lines] of sections(result)) page = replaceSection(page, `bench:${name}`, lines, 'performance.md');
  await write(document, page);
  return written;
}

/** What is not a case, with where it was measured: by suite, so that one can be measured without the others. */
function figures(result: BenchResult): Record<string, unknown> {
  const { cases, overhead, takeover, growth, scaling, verification, orchestration, ...setting } = result;
  return {
    ...(cases.length > 0 ? { cases: { setting, overhead, takeover } } : {}),
    ...(growth.length > 0 ? { growth: { setting, results: growth } } : {}),
    ...(scaling.length > 0 ? { scaling: { setting, results: scaling } } : {}),
    ...(verification.length > 0 ? { verification: { setting, results: verification } } : {}),
    ...(orchestration ? { orchestration: { setting, ...orchestration } } : {}),
  };
}

function sections(result: BenchResult): Map<Section, string[]> {
  const found = new Map<Section, string[]>();
  const add = (name: Section, tables: readonly Table[], ...more: readonly string[]) => {
    const filled = tables.filter((table) => table.rows.length > 0);
    if (filled.length === 0) return;
    const lines = [setting(result), ...filled.flatMap((table) => ['', ...markdownTable(table)]), ...more.flatMap((line) => ['', line])];
    found.set(name, lines);
  };
  const cases = [...(result.overhead ? [result.overhead] : []), ...result.cases];
  add(
    'cases',
    result.cases.length === 0
      ? []
      : [speedTable(cases), checksTable(result.cases), ...(result.peers.length > 0 ? [peersTable(result.cases)] : [])],
    ...(result.peers.length > 0 ? [`Other programs: ${result.peers.join('; ')}.`] : []),
    ...(result.takeover ? [takeoverLine(result.takeover)] : []),
  );
  add('growth', [growthTable(result.growth)]);
  add('scaling', [scalingTable(result.scaling)]);
  add('verification', [verificationTable(result.verification)]);
  add('orchestration', result.orchestration ? [orchestrationTable(result.orchestration)] : []);
  return found;
}

function setting({ at, version, quick, load, rows, repeats, workers, postgres, node }: BenchSetting): string {
  const noise = `other programs used ${percent(load.foreignShare)} of the machine${load.noisy ? ': **noisy, not a result**' : ''}`;
  const size = quick ? ' **Quick: sizes too small to say anything about speed.**' : '';
  return (
    `Measured on ${at.slice(0, 10)} with version ${version}: ${load.cpus} CPUs, ${postgres}, Node ${node}, ${workers} workers, ` +
    `${count(rows)} orders, medians of ${repeats}; ${noise}.${size}`
  );
}
