/** Tables and roles with habits of their own. */
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

jest.setTimeout(120_000);

async function given(name: string, module: (options: string) => string, options: string): Promise<{ url: string; flow: Project }> {
  const url = await freshDatabase(name);
  const flow = await project(name.replaceAll('_', '-'), url);
  await flow.write('pipelines.ts', `import { definePipeline, postgres } from 'sluice';\n${module(options)}`);
  return { url, flow };
}

const copy = (target: string) =>
  `export default definePipeline({ name: 'copy', source: postgres({ table: 'here' }), target: postgres(${target}), tolerate: { quarantined: 10 } });`;

test('a table whose trigger drops rows is told to be one, at once, and nothing is changed', async () => {
  const { url, flow } = await given('drops', copy, `{ table: 'there', mode: 'append' }`);
  await query(url, `create table here as select generate_series(1, 100) as n`);
  await query(
    url,
    `create table there (n int); insert into there values (0);
     create function drop_odd() returns trigger language plpgsql as $$ begin return case when new.n % 2 = 1 then null else new end; end $$;
     create trigger drop_odd before insert on there for each row execute function drop_odd()`,
  );
  await startWorker(flow);

  const failure = await failureOf(await startRun(await temporalClient(), flow, 'copy'));

  expect(failure).toMatchObject({
    type: 'RowsDropped',
    message: expect.stringContaining('table "there" took 50 of 100 rows without an error'),
  });
  expect(await query(url, 'select count(*)::int as n from there')).toEqual([{ n: 1 }]);
});

test('rows with null where it is not allowed and rows with one key, in one load: both kinds go to quarantine', async () => {
  const { url, flow } = await given('nulls_and_twins', copy, `{ table: 'there', mode: 'append', key: ['id'] }`);
  await query(
    url,
    `create table here (id int not null, name text); insert into here select n, 'row ' || n from generate_series(1, 1000) n`,
  );
  await query(url, `insert into here values (2000, null), (2001, null), (7, 'again')`);
  await query(url, 'create table there (id int primary key, name text not null)');
  await startWorker(flow);

  expect(await resultOf(await startRun(await temporalClient(), flow, 'copy'))).toMatchObject({ rowsLoaded: 1000, rowsQuarantined: 3 });
  expect(await query(url, `select count(*)::int as n, count(distinct id)::int as ids from there`)).toEqual([{ n: 1000, ids: 1000 }]);
  expect(await query(url, `select reason, count(*)::int as n from sluice.quarantine group by 1 order by 1`)).toEqual([
    { reason: 'duplicate key in this run', n: 1 },
    { reason: 'null is not allowed', n: 2 },
  ]);
});

test('timeouts that a role has for other programs do not end what takes long', async () => {
  const { url, flow } = await given('timeouts', copy, `{ table: 'there', mode: 'append' }`);
  await query(url, `create table here as select generate_series(1, 100) as n`);
  await query(
    url,
    `create table there (n int);
     create function take_long() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return null; end $$;
     create trigger take_long after insert on there for each statement execute function take_long()`,
  );
  const database = new URL(url).pathname.slice(1);
  for (const name of ['statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout']) {
    await query(url, `alter database ${database} set ${name} = '400ms'`);
  }
  await startWorker(flow);

  expect(await resultOf(await startRun(await temporalClient(), flow, 'copy'))).toMatchObject({ rowsLoaded: 100 });
});

test('an incremental pipeline whose cursor is null in some rows says so instead of never reading them', async () => {
  const { url, flow } = await given(
    'null_cursor',
    (target) =>
      `export default definePipeline({ name: 'copy', source: postgres({ table: 'here', key: ['id'] }), incremental: { cursor: 'at' }, target: postgres(${target}) });`,
    `{ table: 'there', mode: 'upsert', key: ['id'] }`,
  );
  await query(
    url,
    `create table here (id int primary key, at timestamptz); insert into here values (1, now() - interval '1 day'), (2, null)`,
  );
  await startWorker(flow);

  const failure = await failureOf(await startRun(await temporalClient(), flow, 'copy'));

  expect(failure).toMatchObject({
    type: 'NullInCursor',
    message: expect.stringMatching(/rows whose cursor "at" is null; .*coalesce\(at, \.\.\.\)/),
  });
});

test('more repeated keys than a worker should hold in memory go to quarantine without it', async () => {
  const { url, flow } = await given(
    'many_twins',
    (target) =>
      `export default definePipeline({ name: 'copy', source: postgres({ table: 'here' }), target: postgres(${target}), tolerate: { quarantined: '60%' } });`,
    `{ table: 'there', mode: 'upsert', key: ['id'] }`,
  );
  await query(
    url,
    `create table here (id int not null, name text); insert into here select n % 15000, 'row ' || n from generate_series(0, 29999) n`,
  );
  await startWorker(flow);

  expect(await resultOf(await startRun(await temporalClient(), flow, 'copy'))).toMatchObject({
    rowsLoaded: 15_000,
    rowsQuarantined: 15_000,
  });
  expect(
    await query(
      url,
      `with quarantined as (select convert_from(record, 'UTF8')::json as row from sluice.quarantine),
            all_rows as (select id, name from there union all select (row ->> 'id')::int, row ->> 'name' from quarantined)
       select count(*)::int as n, (select count(*)::int from (table all_rows except table here) as others) as others from all_rows`,
    ),
  ).toEqual([{ n: 30_000, others: 0 }]);
});
