/** The connection breaks at COMMIT, before the server has it or before its answer is back: nothing is lost, nothing is there twice. */
import { contentOf } from '../helpers/checksum.ts';
import { expectFlights } from '../helpers/flights.ts';
import { attemptsAt, copiedPartitions, observe } from '../helpers/observer.ts';
import { startProxy } from '../helpers/proxy.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { fired, project, startWorker } from '../helpers/workers.ts';

const SPAN = { from: '2001-03-01', to: '2001-03-02' };
const MODES = ['replace', 'upsert', 'append'] as const;
type Mode = (typeof MODES)[number];

/** Copies the table `departures` by key ranges into a table named after the mode. */
const copyOf = (mode: Mode) => `
import { definePipeline, keyRange, postgres } from 'sluice';
export default definePipeline({
  name: '${mode}',
  source: postgres({ table: 'departures' }),
  partitionBy: keyRange('id', 5_000),
  target: postgres({ table: '${mode}_target', mode: '${mode}'${mode === 'append' ? '' : `, key: ['id']`} }),
  chunk: { rows: 1_000 },
});`;

/** What a target holds before the run: replaced, corrected, or kept. A table to append to has no key that would refuse a row twice. */
const BEFORE: Record<Mode, string> = {
  replace: `create table replace_target (like departures including all);
            insert into replace_target select -id, date, delay, distance, origin, destination from departures where id <= 100`,
  upsert: `create table upsert_target (like departures including all);
           insert into upsert_target select id, date, delay + 1, distance, origin, destination from departures where id % 2 = 0`,
  append: 'create table append_target (like departures)',
};

let template = '';

beforeAll(async () => {
  template = await freshDatabase('departures');
  await expectFlights(template, SPAN);
  await query(template, 'create table departures as select (row_number() over ())::int as id, * from expected');
  await query(template, 'alter table departures add primary key (id)');
  for (const mode of MODES) await query(template, BEFORE[mode]);
  await observe(template);
});

async function expectNothingLostNothingTwice(url: string, mode: Mode): Promise<void> {
  expect(await contentOf(url, `${mode}_target`)).toEqual(await contentOf(url, 'departures'));
  for (const { partition, chunks, committed } of await copiedPartitions(url)) {
    expect({ partition, committed }).toEqual({ partition, committed: chunks });
  }
}

test.concurrent.each(MODES)('a connection of the worker breaks at its COMMIT of chunks and of the load: %s', async (mode) => {
  const url = await freshDatabase(mode, { template });
  const flow = await project(mode, url);
  await flow.write('pipeline.ts', copyOf(mode));
  const faults = [
    'chunk:before-commit@3=drop',
    'chunk:before-commit@6=lose-answer',
    'load:before-commit=drop',
    'load:before-commit@2=lose-answer',
  ];
  await startWorker(flow, { faults: faults.join(',') });

  const summary = await resultOf(await startRun(await temporalClient(), flow, mode));

  for (const fault of faults) await fired(flow, fault, 0);
  expect(summary.rowsLoaded).toBe(summary.rowsRead);
  await expectNothingLostNothingTwice(url, mode);
});

/** A statement of each transaction that a run makes. */
const TRANSACTIONS = [
  /insert into sluice\.runs /,
  /insert into sluice\.fences /,
  /insert into sluice\.chunks /,
  /insert into sluice\.transforms /,
  /update sluice\.transforms set checked/,
  /insert into sluice\.commits /,
  /update sluice\.runs set status/,
  /delete from sluice\.fences /,
];

test.concurrent.each(MODES)('the network loses every kind of COMMIT once, and every kind of answer to one: %s', async (mode) => {
  const url = await freshDatabase(mode, { template });
  const proxy = await startProxy(url);
  for (const statement of TRANSACTIONS) {
    proxy.breakCommit(statement, 'unsent');
    proxy.breakCommit(statement, 'unanswered');
  }
  const flow = await project(mode, proxy.url);
  await flow.write('pipeline.ts', copyOf(mode));
  await startWorker(flow);

  const summary = await resultOf(await startRun(await temporalClient(), flow, mode));

  expect(proxy.unbroken()).toEqual([]);
  expect(summary.rowsLoaded).toBe(summary.rowsRead);
  await expectNothingLostNothingTwice(url, mode);
  // The answer was lost, but the commit was found in the ledger and not done again.
  expect(await query(url, 'select unit from sluice.commits')).toEqual([{ unit: 'load' }]);
  expect((await attemptsAt(url)).load).toBe(3);
});
