/** Table checks that compare a run with its source, with itself and with the run before it: what fails changes nothing and says why. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { contentOf } from '../helpers/checksum.ts';
import { flights } from '../helpers/flights.ts';
import { createLedger } from '../helpers/ledger.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { FOUR_DAYS } from '../helpers/scene.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 600;

let url: string;
let flow: Project;
let client: Client;

const orders = (name: string, options: string) => `
definePipeline({
  name: '${name}',
  source: postgres({ table: '${name}_source' }),
  row: z.object({ id: z.int(), region: z.string(), place: z.int().nullable(), amount: z.string().meta({ sqlType: 'numeric(12,2)' }), price: z.number().max(1000) }),
  ${options}
}),`;

beforeAll(async () => {
  url = await freshDatabase('table_checks');
  await createLedger(url);
  flow = await project('table-checks', url);
  await flow.write(
    'orders.ts',
    `import { column, definePipeline, noRows, notFewerThan, postgres, rowsMatchSource, sql, sumsMatchSource, unique } from 'sluice';
     import { z } from 'zod';
     export default [
       ${orders(
         'agreeing',
         `partitionBy: column('region'), tolerate: { quarantined: 2 },
          checks: [rowsMatchSource(), sumsMatchSource('id', 'place', 'amount'), unique('region', 'place'), notFewerThan('90%')],
          target: postgres({ table: 'agreeing', mode: 'replace', key: ['id'] }),`,
       )}
       ${orders(
         'parted',
         `partitionBy: column('region'), commit: 'partition',
          checks: [rowsMatchSource(), sumsMatchSource('amount')],
          target: postgres({ table: 'parted', mode: 'replace', scope: 'partition' }),`,
       )}
       ${orders(
         'moving',
         `checks: [rowsMatchSource()],
          target: postgres({ table: 'moving', mode: 'append' }),`,
       )}
       ${orders(
         'dropping',
         `transform: (row) => (row.id % 2 ? { ...row, place: null } : null),
          checks: [rowsMatchSource(), sumsMatchSource('id')],
          target: postgres({ table: 'dropping', mode: 'append' }),`,
       )}
       ${orders(
         'summed',
         `transform: sql\`select region, sum(amount) as amount from staging group by 1\`,
          checks: [rowsMatchSource(), sumsMatchSource('amount'), unique('region'), unique('amount')],
          target: postgres({ table: 'summed', mode: 'append' }),`,
       )}
       ${orders('inexact', `checks: [sumsMatchSource('price')], target: postgres({ table: 'inexact', mode: 'append' }),`)}
     ];`,
  );
  await flow.write(
    'flights.ts',
    flights('flights', {
      span: FOUR_DAYS,
      rowsInChunk: 20_000,
      extra: `checks: [rowsMatchSource(), sumsMatchSource('delay', 'distance')],`,
    }).replace('{ ', '{ rowsMatchSource, sumsMatchSource, '),
  );
  for (const name of ['agreeing', 'parted', 'moving', 'dropping', 'summed', 'inexact']) {
    await query(
      url,
      `create table ${name}_source (id bigint primary key, region text, place int, amount numeric(12,2) not null, price float8 not null default 1)`,
    );
    await query(url, `insert into ${name}_source select i, 'r' || i % 3, nullif(i, 7), i * 1.01, i from generate_series(1, ${ROWS}) i`);
  }
  client = await temporalClient();
  await startWorker(flow);
});

const failed = async (handle: WorkflowHandle) => {
  const { type, message } = await failureOf(handle);
  return `${type}: ${message}`;
};

test('a run that agrees with its source passes, rows in quarantine counted in; one with too few rows, or with a value twice, changes nothing', async () => {
  await query(url, 'update agreeing_source set price = 2000 where id in (5, 6)');
  expect(await resultOf(await startRun(client, flow, 'agreeing'))).toMatchObject({ rowsLoaded: ROWS - 2, rowsQuarantined: 2 });
  const before = await contentOf(url, 'agreeing');

  await query(url, 'delete from agreeing_source where id > 540');
  expect(await failed(await startRun(client, flow, 'agreeing'))).toMatch(
    /^CheckFailed: agreeing: check "notFewerThan\(90%\)" failed: 538 rows, but it wants at least 539: 90% of the 598 that run agreeing-\S+ loaded\. Nothing was changed\./,
  );
  expect(await contentOf(url, 'agreeing')).toEqual(before);

  await query(url, `insert into agreeing_source values (541, 'r1', 1, 1, 1), (542, 'r1', null, 1, 1)`);
  expect(await failed(await startRun(client, flow, 'agreeing'))).toMatch(
    /check "unique\(region, place\)" failed: 1 value is repeated, such as \{"region":"r1","place":1,"rows":2\}\./,
  );
  expect(await contentOf(url, 'agreeing')).toEqual(before);

  await query(url, 'update agreeing_source set place = null where id = 541');
  expect(await resultOf(await startRun(client, flow, 'agreeing'))).toMatchObject({ rowsLoaded: 540 });
});

test('each partition is compared with its own part of the source', async () => {
  expect(await resultOf(await startRun(client, flow, 'parted'))).toMatchObject({ rowsLoaded: ROWS });
  expect(await contentOf(url, 'parted')).toEqual(await contentOf(url, 'parted_source'));
});

test('a source that was written to after it was read is noticed', async () => {
  await query(
    url,
    `create function interfere() returns trigger language plpgsql as
     $$ begin insert into moving_source values (100000 + random() * 1000000, 'r1', 1, 1, 1); return null; end $$;
     create trigger interfere after insert on sluice.transforms for each row when (new.run_key like 'moving%') execute function interfere()`,
  );
  expect(await failed(await startRun(client, flow, 'moving'))).toMatch(
    /moving: check "rowsMatchSource" failed: 600 rows were read, and the source has 601 now\. Nothing was changed/,
  );
  expect(await query(url, `select to_regclass('moving') as there`)).toEqual([{ there: null }]);
});

test('rows that a row function drops are no loss of rows, but of their sums', async () => {
  expect(await failed(await startRun(client, flow, 'dropping'))).toMatch(
    /check "sumsMatchSource\(id\)" failed: column "id" adds up to 90000 in what was extracted, and to 180300 in the source now\./,
  );
});

test('what a SQL transform makes is not what was extracted', async () => {
  await query(url, `insert into summed_source select 10000 + id, 'r4', null, amount, 1 from summed_source where region = 'r1'`);
  expect(await failed(await startRun(client, flow, 'summed'))).toMatch(
    /check "unique\(amount\)" failed: 1 value is repeated, such as \{"amount":\d+\.\d+,"rows":2\}\./,
  );
});

test('Parquet is counted and added up by DuckDB', async () => {
  expect(await resultOf(await startRun(client, flow, 'flights'))).toMatchObject({ rowsQuarantined: 1 });
});

test('a column that does not add up exactly is refused before anything is read', async () => {
  expect(await failed(await startRun(client, flow, 'inexact'))).toMatch(
    /InvalidDefinition: inexact: checks: sumsMatchSource: column "price" is double precision in .* only integers and numeric add up exactly/,
  );
});
