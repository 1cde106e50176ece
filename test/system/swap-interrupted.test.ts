/** What comes between the plan of a first load and its swap: others who write or change the table, readers, a crash, a check that fails. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { targetPlace } from '../../src/connectors/postgres/load.ts';
import { buildKeys, createBeside, swapIn } from '../../src/connectors/postgres/swap.ts';
import { contentOf } from '../helpers/checksum.ts';
import { copy, described, EMPTY, expectCopied, oidOf, ROWS, retry, run, seeded, TARGET } from '../helpers/copy-pipeline.ts';
import { stagingTables } from '../helpers/ledger.ts';
import { copiedPartitions } from '../helpers/observer.ts';
import { failureOf, resultOf } from '../helpers/runs.ts';
import { ownPostgres, query } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(120_000);

test('others write to the table after the plan: their rows stay, ours come to them', async () => {
  const given = await copy({ mode: 'append', before: EMPTY });
  const oid = await oidOf(given.url);
  const worker = await startWorker(given.flow, { faults: 'transform:after-commit=stop' });
  const handle = await run(given);
  await stoppedBy(given.flow, 'transform:after-commit=stop', [worker]);
  await query(given.url, `insert into copy select -id, month, delay, distance, origin, destination, updated from departures where id <= 3`);
  worker.kill('SIGCONT');

  await resultOf(await handle);
  expect(await query(given.url, 'select count(*)::int as all, (count(*) filter (where id < 0))::int as theirs from copy')).toEqual([
    { all: ROWS + 3, theirs: 3 },
  ]);
  expect(await oidOf(given.url)).toBe(oid);
  expect(await stagingTables(given.url)).toEqual([]);
});

test('others create the table, or change it, after the plan', async () => {
  const created = await copy();
  const changed = await copy({ before: EMPTY });
  const statements = new Map([
    [created, 'create table copy (like departures including all); grant select on copy to public'],
    [changed, 'create index late on copy (delay)'],
  ]);
  for (const [given, statement] of statements) {
    const worker = await startWorker(given.flow, { faults: 'transform:after-commit=stop' });
    const handle = await run(given);
    await stoppedBy(given.flow, 'transform:after-commit=stop', [worker]);
    await query(given.url, statement);
    const oid = await oidOf(given.url);
    worker.kill('SIGCONT');
    await resultOf(await handle);
    await expectCopied(given);
    expect(await oidOf(given.url)).toBe(oid);
  }
});

test('others change its columns after the plan: they stay changed, and the rows are inserted', async () => {
  // Given a first load into an empty table that is about to be committed
  const given = await copy({ before: EMPTY });
  const worker = await startWorker(given.flow, { faults: 'transform:after-commit=stop' });
  const handle = await run(given);
  await stoppedBy(given.flow, 'transform:after-commit=stop', [worker]);

  // When somebody gives the table another column, and a column another type and default
  await query(
    given.url,
    `alter table copy add column note text default 'kept', alter column delay type bigint, alter column distance set default 7`,
  );
  const before = { said: await described(given.url), oid: await oidOf(given.url) };
  worker.kill('SIGCONT');

  // Then the run loads the table as it is now
  await resultOf(await handle);
  expect(await described(given.url)).toEqual(before.said);
  expect(await oidOf(given.url)).toBe(before.oid);
  expect(await query(given.url, 'select distinct note from copy')).toEqual([{ note: 'kept' }]);
  const copied = 'id, month, delay::int, distance, origin, destination, updated';
  expect(await contentOf(given.url, `(select ${copied} from copy)`)).toEqual(await contentOf(given.url, 'departures'));
  expect(await stagingTables(given.url)).toEqual([]);
});

test.concurrent.each([
  ['nothing but the order of what was dropped before', '', true],
  ['a column', 'alter table copy add column note text', false],
  ['a column less', 'alter table copy drop column distance', false],
  ['a name', 'alter table copy rename column distance to miles', false],
  ['a type', 'alter table copy alter distance type bigint', false],
  ['the length of a type', 'alter table copy alter code type varchar(20)', false],
  ['a collation', 'alter table copy alter origin type text collate "C"', false],
  ['nulls', 'alter table copy alter delay drop not null', false],
  ['no nulls', 'alter table copy alter code set not null', false],
  ['a default', `alter table copy alter code set default 'none'`, false],
  ['no default', 'alter table copy alter updated drop default', false],
  ['storage', 'alter table copy alter origin set storage external', false],
  ['compression', 'alter table copy alter origin set compression pglz', false],
])('compared with what was built: %s', async (_what, statement, swapped) => {
  // Given a table that has lost a column, and one that was built to take its place
  const url = await seeded('compared');
  await query(
    url,
    `create table copy (lost int, like departures including all); alter table copy drop column lost, add column code varchar(10)`,
  );
  const database = new Database('target', url, { max: 1 });
  try {
    const beside = { table: 'sluice_staging.beside', replaces: await oidOf(url) };
    await database.transaction(async (connection) => {
      await createBeside(connection, beside, TARGET, []);
      await buildKeys(connection, beside, TARGET);
    });

    // When its columns are changed, then it is not replaced
    if (statement) await query(url, statement);
    const isSwapped = await database.transaction(
      async (connection) => await swapIn(connection, beside, TARGET, await targetPlace(connection, 'copy')),
    );
    expect(isSwapped).toBe(swapped);
  } finally {
    await database.close();
  }
});

test('a reader that holds the table for good: the rows are inserted', async () => {
  const given = await copy({ before: EMPTY });
  const oid = await oidOf(given.url);
  const reader = new Database('target', given.url, { max: 1 });
  await startWorker(given.flow);
  await reader.transaction(async (connection) => {
    await connection.query('select from copy');
    await resultOf(await run(given));
  });
  await reader.close();
  await expectCopied(given);
  expect(await oidOf(given.url)).toBe(oid);
});

test('a reader that lets go: the swap has its turn later', async () => {
  const given = await copy({ before: EMPTY });
  const oid = await oidOf(given.url);
  const reader = new Database('target', given.url, { max: 1 });
  const isWaiting = async () =>
    (await query(given.url, `select from pg_locks where relation = 'copy'::regclass and mode = 'AccessExclusiveLock' and not granted`))
      .length > 0;
  await startWorker(given.flow);
  await reader.transaction(async (connection) => {
    await connection.query('select from copy');
    const handle = await run(given);
    await until('the swap waits', isWaiting);
    await until('it has given up for now', async () => !(await isWaiting()));
    expect((await handle.describe()).status.name).toBe('RUNNING');
  });
  await reader.close();
  await until('it is swapped', async () => (await oidOf(given.url)) !== oid);
  await until('the run has ended', async () => (await query(given.url, `select from sluice.runs where status = 'succeeded'`)).length > 0);
  await expectCopied(given);
});

test('keys that are there twice: the run starts again by way of staging, which knows which row stays', async () => {
  const given = await copy({
    before: `alter table departures drop constraint departures_pkey;
             create table again as select id, month, delay + 1 as delay, distance, origin, destination, updated from departures where id % 1000 = 0;
             insert into departures select * from again`,
    from: `source: postgres({ query: 'select * from departures order by delay' }),`,
    more: 'tolerate: { quarantined: 10 },',
  });
  await startWorker(given.flow);
  expect(await resultOf(await run(given))).toMatchObject({ rowsRead: ROWS + 10, rowsLoaded: ROWS, rowsQuarantined: 10 });
  expect(
    await query(given.url, 'select column_name from information_schema.columns where table_name = $1 order by 1', ['copy']),
  ).toHaveLength(7);
  expect(await query(given.url, `select distinct reason from sluice.quarantine`)).toEqual([{ reason: 'duplicate key in this run' }]);
  expect(await stagingTables(given.url)).toEqual([]);
});

test('a crash of the database takes nothing of what was copied', async () => {
  const postgres = await ownPostgres();
  const given = await copy({ server: postgres.url });
  const worker = await startWorker(given.flow, { faults: 'chunk:after-commit@9=stop' });
  const handle = await run(given);
  await stoppedBy(given.flow, 'chunk:after-commit@9=stop', [worker]);
  await postgres.restart('immediate');
  expect(
    (await query<{ chunks: number }>(given.url, 'select count(*)::int as chunks from sluice.chunks'))[0]?.chunks,
  ).toBeGreaterThanOrEqual(9);
  worker.kill('SIGCONT');

  await resultOf(handle);
  await expectCopied(given);
  for (const { partition, chunks, committed } of await copiedPartitions(given.url)) {
    expect({ partition, committed }).toEqual({ partition, committed: chunks });
  }
});

test('a check fails: the target is as it was, and a retry extracts the corrected rows', async () => {
  const given = await copy({ before: EMPTY, more: `checks: [noRows('no late flights', 'select * from rows where delay > 10000')],` });
  await query(given.url, 'update departures set delay = 20000 where id = 77');
  await startWorker(given.flow);
  const handle = await run(given);
  expect(await failureOf(handle)).toMatchObject({ type: 'CheckFailed' });
  expect(await query(given.url, 'select count(*)::int as rows from copy')).toEqual([{ rows: 0 }]);

  await query(given.url, 'update departures set delay = 20 where id = 77');
  await resultOf(await retry(given, handle));
  await expectCopied(given);
});
