/** Others write to the target while a unit is loaded: what they insert meanwhile is updated or replaced, and nothing is doubled or refused. */
import type { Client } from '@temporalio/client';
import { connect, type SluiceClient } from '../../src/client/index.ts';
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { gateAt } from '../helpers/gate.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, sharedTemporalAddress, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 15_000;

let client: Client;
let url: string;
let flow: Project;
let sluice: SluiceClient;

beforeAll(async () => {
  client = await temporalClient();
  url = await freshDatabase('foreign_writer');
  await seedFlights(url, 'departures', ROWS);
  flow = await project('foreign-writer', url);
  await query(url, 'create table arrivals as select * from departures where id <= 100');
  const copy = (name: string, mode: string, from = 'departures') =>
    `definePipeline({ name: '${name}', source: postgres({ table: '${from}' }), target: postgres({ table: '${name}', ${mode} }) }),`;
  await flow.write(
    'copies.ts',
    `import { definePipeline, postgres } from 'sluice';
     export default [
       ${copy('merged', `mode: 'upsert', key: ['id']`)}
       ${copy('looked_at', `mode: 'upsert', key: ['id']`)}
       ${copy('replaced', `mode: 'replace', key: ['id']`)}
       ${copy('replaced_as_it_is', `mode: 'replace'`)}
       ${copy('otherwise_unique', `mode: 'upsert', key: ['id']`)}
       ${copy('unlike_each_other', `mode: 'replace', key: ['id']`, 'arrivals')}
       ${copy('unlike_as_written', `mode: 'replace'`, 'arrivals')}
     ];`,
  );
  sluice = await connect({ address: sharedTemporalAddress(), taskQueue: flow.taskQueue });
  cleanups.push(() => sluice.close());
  await startWorker(flow);
});

test.each([
  ['merged', 'all rows are merged as they are', 'id <= 10'],
  ['looked_at', 'rows that differ are looked for first', 'id > 10'],
  ['replaced', 'what is there is deleted first', 'id <= 10'],
  ['replaced_as_it_is', 'what is there is deleted first, and the pipeline names no key', 'id <= 10'],
])('%s: where %s', async (table, _how, there) => {
  // Given a target with some of the rows
  await query(
    url,
    `create table ${table} (like departures including all); insert into ${table} select * from departures where ${there}; analyze ${table}`,
  );
  const gate = await gateAt(url, table, { timing: 'before', when: `new.origin <> 'THEIRS'` });
  await gate.close();

  // When somebody inserts rows that the run is about to insert too
  const handle = await startRun(client, flow, table);
  await gate.waiting();
  const missing = `select id from departures except select id from ${table} order by id desc limit 3`;
  await query(
    url,
    `insert into ${table} select id, month, delay, distance, 'THEIRS', destination from departures where id in (${missing})`,
  );
  await gate.open();

  // Then the run sees that row the next time, and the target is as the source
  expect(await resultOf(handle)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, rowsQuarantined: 0 });
  expect(await contentOf(url, table)).toEqual(await contentOf(url, 'departures'));
});

test('what another unique key refuses is refused at once', async () => {
  await query(
    url,
    `create table otherwise_unique (like departures including all); create unique index on otherwise_unique (updated, origin, id);
     create unique index "one of each" on otherwise_unique (month) where delay = -1 and id > 100`,
  );
  const failure = await failureOf(await startRun(client, flow, 'otherwise_unique'));
  expect(failure).toMatchObject({ type: 'DataRefused', message: expect.stringContaining('one of each') });
  expect(await query(url, 'select from otherwise_unique')).toHaveLength(0);
});

test.each([
  ['unlike_each_other', 'of columns', '(updated)'],
  ['unlike_as_written', 'of an expression', '(lower(origin), updated)'],
])(
  '%s: rows that a unique key %s refuses for one another are refused at once, and a retry reads the mended ones',
  async (table, _of, key) => {
    // Given a target whose unique key two rows of the source have in common, which is not the key of the pipeline
    await query(
      url,
      `create table ${table} (like departures including all); insert into ${table} select * from departures where id > 500 limit 10;
     create unique index "${table} at a time" on ${table} ${key};
     truncate arrivals; insert into arrivals select * from departures where id <= 100;
     insert into arrivals select id + 200, month, delay, distance, origin, destination, updated from arrivals where id = 7`,
    );
    const before = await contentOf(url, table);

    // When they replace what is there
    const handle = await startRun(client, flow, table);

    // Then the run says which key it was, and nothing has changed
    expect(await failureOf(handle)).toMatchObject({ type: 'DataRefused', message: expect.stringContaining(`${table} at a time`) });
    expect(await contentOf(url, table)).toEqual(before);

    // And once they differ a retry reads them again
    await query(url, `update arrivals set updated = updated + interval '1 day' where id = 207`);
    expect(await (await sluice.retry(handle.workflowId)).result()).toMatchObject({ rowsLoaded: 101 });
    expect(await contentOf(url, table)).toEqual(await contentOf(url, 'arrivals'));
  },
);
