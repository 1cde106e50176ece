import { shownDatabase } from '../../../src/cli/shown-database.ts';
import { summaryJson, summaryText } from '../../../src/cli/summary.ts';
import type { RunSummary } from '../../../src/contracts/run.ts';

const summary: RunSummary = {
  run: 'flights-2026-11-23',
  runKey: 'flights-2026-11-23/x',
  pipeline: 'flights',
  status: 'succeeded',
  rowsRead: 3_000_000,
  rowsLoaded: 2_999_997,
  rowsQuarantined: 3,
  quarantine: [{ column: 'delay', reason: 'less than -120', rows: 3 }],
  partitions: 7,
  chunks: 36,
  unchanged: false,
  target: 'target postgres://127.0.0.1/sluice table flights',
  replicated: null,
  watermark: null,
  ledger: null,
};
const facts = { seconds: 7.5, webUi: 'http://ui/run', database: 'postgresql://postgres:secret@127.0.0.1/sluice' };

it('is said in plain words', () => {
  expect(summaryText(summaryJson(summary, facts)).split('\n')).toEqual([
    'flights-2026-11-23: succeeded',
    '  read        3,000,000 rows in 7 partitions (36 chunks)',
    '  loaded      2,999,997 rows into postgres://127.0.0.1/sluice table flights',
    '  quarantine  3 rows: delay less than -120 (3)',
    '  time        7.5 s, 400,000 rows/s',
    '  Web UI      http://ui/run',
    "  database    psql 'postgresql://postgres:secret@127.0.0.1/sluice'",
  ]);
});

it('says that nothing was written', () => {
  expect(summaryText(summaryJson({ ...summary, unchanged: true }, facts))).toContain('was already identical: nothing was written');
});

it('says how many reasons it left out', () => {
  expect(summaryText(summaryJson({ ...summary, rowsQuarantined: 5 }, facts))).toContain('5 rows: delay less than -120 (3); and 2 more');
});

it('has what programs were promised', () => {
  expect(summaryJson(summary, facts)).toMatchObject({
    run: 'flights-2026-11-23',
    pipeline: 'flights',
    status: 'succeeded',
    rowsRead: 3_000_000,
    rowsLoaded: 2_999_997,
    rowsQuarantined: 3,
    partitions: 7,
    chunks: 36,
    seconds: 7.5,
    rowsPerSecond: 400_000,
    webUi: 'http://ui/run',
    database: facts.database,
  });
});

it("shows the embedded database's password, and no other", () => {
  const url = 'postgres://app:secret@db:5432/orders';
  expect(shownDatabase({ url, embedded: true })).toBe(url);
  expect(shownDatabase({ url, embedded: false })).toBe('postgres://db:5432/orders');
  expect(shownDatabase(null)).toBeNull();
});
