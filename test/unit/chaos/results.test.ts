/** What the chaos suite keeps of its calls. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markdownTable } from '../../../bench/table.ts';
import { DISK_FULL } from '../../../chaos/faults/disk-full.ts';
import type { Fault } from '../../../chaos/faults/fault.ts';
import { NETWORK_FAULTS } from '../../../chaos/faults/network.ts';
import { PROCESS_FAULTS } from '../../../chaos/faults/processes.ts';
import { seedOf } from '../../../chaos/random.ts';
import { callsTable, faultsJson, faultsTable } from '../../../chaos/report.ts';
import { addTrial, readResults } from '../../../chaos/results.ts';

const FAULT = { name: 'worker killed', says: 'SIGKILL', isKill: true, promisedSeconds: 12 } as Fault;
const trial = (recoverSeconds: number | null, problems: string[] = []) => ({
  ...{ fault: FAULT.name, what: 'worker1', problems, recoverSeconds, rowsLost: 0, rowsDuplicated: 0, rowsCopiedAgain: 7, seconds: 1 },
});
const call = (at: string) => ({ at, seed: 1, commit: 'abcdef1' });

test('trials are accumulated over calls, and each call says what code it broke', async () => {
  let all = await readResults(join(await mkdtemp(join(tmpdir(), 'sluice-chaos-')), 'none.json'), '1.0.0');
  all = addTrial(all, trial(1), FAULT, call('2026-11-01T00:00:00Z'));
  all = addTrial(all, trial(3), FAULT, call('2026-11-01T00:00:00Z'));
  all = addTrial(all, trial(null, ['a row is lost']), FAULT, call('2026-11-02T00:00:00Z'));
  expect(faultsJson(all)).toEqual([
    {
      ...{ fault: 'worker killed', tried: 3, survived: 2, recoverMedianSeconds: 2, recoverWorstSeconds: 3 },
      ...{ rowsLost: 0, rowsDuplicated: 0, rowsCopiedAgain: 21 },
    },
  ]);
  expect(all.calls.map(({ tried, survived }) => [tried, survived])).toEqual([
    [2, 2],
    [1, 0],
  ]);
  expect(callsTable(all).rows).toEqual([
    ['2026-11-01', 'abcdef1', '2', '2'],
    ['2026-11-02', 'abcdef1', '1', '0'],
  ]);
});

test('the page says what the results say, and every trial belongs to a call', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  const results = await readResults('chaos/results.json', version);
  const page = await readFile('docs/reliability.md', 'utf8');
  const sum = (of: readonly { tried: number }[]) => of.reduce((total, { tried }) => total + tried, 0);
  expect(sum(results.calls)).toBe(sum(Object.values(results.faults)));
  expect(page).toContain([...markdownTable(faultsTable(results)), '', ...markdownTable(callsTable(results))].join('\n'));
});

test('each fault and each storm of a seed has numbers of its own', () => {
  const names = [...PROCESS_FAULTS, ...NETWORK_FAULTS].map(({ name }) => name).concat(DISK_FULL);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(names.map((name) => seedOf(42, `${name} 0`))).size).toBe(names.length);
  expect(seedOf(42, 'storm 1')).toBe(seedOf(42, 'storm 1'));
});
