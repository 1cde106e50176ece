/** A first load is built beside its target and swapped in, where nobody could tell the new table from the old one by anything but its rows. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { PostgresTargetConfig } from '../../src/connectors/postgres/config.ts';
import { Database } from '../../src/connectors/postgres/database.ts';
import { targetPlace } from '../../src/connectors/postgres/load.ts';
import { buildKeys, createBeside, swapIn, whyNotSwapped } from '../../src/connectors/postgres/swap.ts';
import { contentOf } from '../helpers/checksum.ts';
import { runsOf, stagingTables } from '../helpers/ledger.ts';
import { copiedPartitions, observe } from '../helpers/observer.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, ownPostgres, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker, stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(120_000);

const ROWS = 10_000;

let client: Client;
let template = '';

async function seeded(server?: string): Promise<string> {
  const url = await freshDatabase('departures', { server });
  await seedFlights(url, 'departures', ROWS);
  await observe(url);
  return url;
}

beforeAll(async () => {
  [client, template] = await Promise.all([temporalClient(), seeded()]);
});

interface Copy {
  readonly url: string;
  readonly flow: Project;
}

interface CopyOptions {
  readonly mode?: 'append' | 'upsert' | 'replace';
  readonly swap?: 'auto' | 'never';
  /** Source and partitions. */
  readonly from?: string;
  /** More of the definition of the pipeline. */
  readonly more?: string;
  /** Statements before the run. */
  readonly before?: string;
  readonly template?: string;
  readonly server?: string;
}

const BY_KEY = `source: postgres({ table: 'departures' }), partitionBy: keyRange('id', 2_500),`;

/** A database of its own, and the pipeline `copy` that copies `departures` into the table `copy`. */
async function copy({ mode = 'upsert', swap = 'auto', from = BY_KEY, more = '', before, ...of }: CopyOptions = {}): Promise<Copy> {
  const url = await freshDatabase('swap', { template: of.template ?? template, server: of.server });
  if (before) await query(url, before);
  const flow = await project('swap', url);
  await flow.write(
    'copy.ts',
    `import { definePipeline, keyRange, noRows, postgres, sql } from 'sluice';
     import { z } from 'zod';
     export default definePipeline({
       name: 'copy',
       ${from}
       target: postgres({ table: 'copy', mode: '${mode}', key: ['id'], swap: '${swap}' }),
       chunk: { rows: 500 },
       ${more}
     });`,
  );
  return { url, flow };
}

const run = async ({ flow }: Copy): Promise<WorkflowHandle> => await startRun(client, flow, 'copy');

/** The run, which has failed, once more. */
async function retry({ url, flow }: Copy, failed: WorkflowHandle): Promise<WorkflowHandle> {
  const [planned] = await runsOf(url, failed.workflowId);
  return await client.workflow.start('pipeline', {
    taskQueue: flow.taskQueue,
    workflowId: `${failed.workflowId}-again`,
    args: [{ pipeline: 'copy', retry: { runKey: planned?.run_key } }],
  });
}

async function expectCopied({ url }: Copy): Promise<void> {
  expect(await contentOf(url, 'copy')).toEqual(await contentOf(url, 'departures'));
  expect(await stagingTables(url)).toEqual([]);
}

/** All that the catalogs say of a table, without oids. */
async function described(url: string): Promise<unknown> {
  const [found] = await query(
    url,
    `select c.relname, c.relkind, c.relpersistence, c.reloptions, pg_get_userbyid(c.relowner) as owner, n.nspname,
            (select json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression, pg_get_expr(d.adbin, d.adrelid)) order by attnum)
             from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attrelid = c.oid and attnum > 0) as columns,
            (select json_agg(pg_get_indexdef(indexrelid) order by indexrelid::regclass::text) from pg_index where indrelid = c.oid) as indexes,
            (select json_agg(json_build_array(conname, pg_get_constraintdef(oid)) order by conname) from pg_constraint where conrelid = c.oid) as constraints
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass('copy')`,
  );
  return found;
}

const oidOf = async (url: string) => (await query<{ oid: string }>(url, `select to_regclass('copy')::oid::text as oid`))[0]?.oid ?? null;

describe('the table that is swapped in', () => {
  test('is what CREATE TABLE and its primary key would have made', async () => {
    const made = await copy();
    await startWorker(made.flow);
    expect(await resultOf(await run(made))).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, rowsQuarantined: 0 });
    await expectCopied(made);

    const byHand = await copy({
      before: `create table copy (id bigint not null, month text, delay integer, distance integer, origin text, destination text, updated timestamptz);
               alter table copy add primary key (id)`,
    });
    expect(await described(made.url)).toEqual(await described(byHand.url));
  });

  test('is the empty table that was there, with its defaults, indexes and names', async () => {
    const given = await copy({
      mode: 'append',
      before: `create table copy (id bigint constraint copy_id_there not null, month text collate "C" default 'none', delay integer, distance integer,
                 origin text not null, destination text, updated timestamptz default now(), note text default 'kept', primary key (id));
               alter table copy alter column note set storage external;
               create index "copy by ""origin""" on copy using hash (origin);
               create unique index copy_both on copy (id desc nulls last, origin) include (delay) where delay is not null;
               alter table copy add constraint copy_id_month unique (id, month);
               create index copy_lower on copy (lower(destination))`,
    });
    const before = { said: await described(given.url), oid: await oidOf(given.url) };
    await startWorker(given.flow);
    await resultOf(await run(given));

    expect(await described(given.url)).toEqual(before.said);
    expect(await oidOf(given.url)).not.toBe(before.oid);
    expect(await query(given.url, `select count(*)::int as rows, min(note) as note from copy`)).toEqual([{ rows: ROWS, note: 'kept' }]);
    expect(await stagingTables(given.url)).toEqual([]);
  });

  test('is the result of a SQL transform', async () => {
    const given = await copy({
      mode: 'replace',
      more: 'transform: sql`select min(id) as id, origin, count(*) as departures from staging group by origin`,',
    });
    await startWorker(given.flow);
    await resultOf(await run(given));
    expect(await contentOf(given.url, 'copy')).toEqual(
      await contentOf(given.url, '(select min(id) as id, origin, count(*) as departures from departures group by origin)'),
    );
    expect(await stagingTables(given.url)).toEqual([]);
  });
});

const EMPTY = 'create table copy (like departures including all);';

const CONFIG: PostgresTargetConfig = {
  kind: 'postgres',
  table: 'copy',
  mode: 'upsert',
  scope: 'table',
  key: ['id'],
  replicated: 'ignore',
  swap: 'auto',
};

describe('goes through staging, and leaves the table what it is,', () => {
  const role = 'pg_monitor'; // is there already

  const HANGING: Record<string, readonly [statements: string, why: RegExp]> = {
    rows: [`${EMPTY} insert into copy select * from departures limit 1`, /not empty/],
    grants: [`${EMPTY} grant select on copy to ${role}`, /grants/],
    'grants on a column': [`${EMPTY} grant select (id) on copy to ${role}`, /grants/],
    'default privileges': [`alter default privileges grant select on tables to ${role}`, /default privileges/],
    'another owner': [`${EMPTY} grant create on schema public to ${role}; alter table copy owner to ${role}`, /belongs to role/],
    comments: [`${EMPTY} comment on column copy.delay is 'minutes'`, /comments/],
    'a view': [`${EMPTY} create view late as select * from copy where delay > 60`, /depends/],
    'a function': [`${EMPTY} create function one() returns setof copy language sql as 'select * from copy'`, /depends/],
    'foreign keys to it': [`${EMPTY} create table seats (flight bigint references copy)`, /foreign keys/],
    'foreign keys from it': [`${EMPTY} alter table copy add foreign key (id) references departures`, /constraints/],
    'a check': [`${EMPTY} alter table copy add check (delay > -1000)`, /constraints/],
    'a deferrable key': ['create table copy (like departures); alter table copy add primary key (id) deferrable', /constraints/],
    triggers: [
      `${EMPTY} create trigger t before insert on copy for each row execute function suppress_redundant_updates_trigger()`,
      /triggers/,
    ],
    rules: [`${EMPTY} create rule r as on delete to copy do instead nothing`, /rules/],
    policies: [`${EMPTY} alter table copy enable row level security`, /row security/],
    'a publication': [`${EMPTY} create publication p for table copy`, /publication/],
    // As CREATE SUBSCRIPTION notes it, for which there would have to be a server to subscribe to.
    'a subscription': [
      `${EMPTY} set allow_system_table_mods = on; insert into pg_subscription_rel (srsubid, srrelid, srsubstate) values (1, 'copy'::regclass, 'r')`,
      /subscription/,
    ],
    'a type': [
      `create type flight as (id bigint, month text, delay int, distance int, origin text, destination text, updated timestamptz);
       create table copy of flight (primary key (id))`,
      /of a type/,
    ],
    'an extension': [`${EMPTY} alter extension plpgsql add table copy`, /extension/],
    'a publication of all tables': [`${EMPTY} create publication p for all tables`, /publication/],
    'a publication of its schema': ['create publication p for tables in schema public', /publication/],
    identity: ['create table copy (like departures); alter table copy alter id add generated by default as identity', /identity/],
    'a sequence': [`${EMPTY} create sequence s owned by copy.id`, /sequence/],
    'statistics settings': [`${EMPTY} alter table copy alter delay set statistics 500`, /statistics/],
    'extended statistics': [`${EMPTY} create statistics s on origin, destination from copy`, /statistics/],
    'storage settings': [`${EMPTY} alter table copy set (fillfactor = 70)`, /storage/],
    'storage settings of long values': [`${EMPTY} alter table copy set (toast.autovacuum_enabled = false)`, /storage/],
    'a replica identity': [`${EMPTY} alter table copy replica identity full`, /storage/],
    'settings of an index': [`${EMPTY} create index on copy (origin) with (fillfactor = 70)`, /index/],
    'a key without overlaps': [
      `create extension btree_gist; create table copy (id bigint, at tsrange, primary key (id, at without overlaps))`,
      /index/,
    ],
    'nulls refused here only': [`create table copy (id bigint primary key, delay int constraint n not null no inherit)`, /constraints/],
    'a clustered index': [`${EMPTY} cluster copy using copy_pkey`, /index/],
    'a view in its place': ['create view copy as select * from departures', /no ordinary table/],
    partitions: ['create table copy (like departures) partition by range (id)', /partitioned/],
    inheritance: ['create table parent (id bigint); create table copy (like departures) inherits (parent)', /inherits/],
    'unlogged tables': ['create unlogged table copy (like departures including all)', /unlogged/],
    'a key that may be null': [
      'create table copy (like departures); alter table copy alter id drop not null; create unique index on copy (id)',
      /null/,
    ],
  };

  test.concurrent.each(Object.entries(HANGING))('where there is something: %s', async (_what, [statements, why]) => {
    const url = await freshDatabase('hanging', { template });
    await query(url, statements);
    const database = new Database('target', url, { max: 1 });
    try {
      const found = await database.transaction(async (connection) => whyNotSwapped(connection, CONFIG, await oidOf(url)));
      expect(found).toMatch(why);
    } finally {
      await database.close();
    }
  });

  test('as with grants and a view on it, or by choice', async () => {
    const granted = await copy({
      before: `${EMPTY} grant select on copy to ${role}; create view late as select * from copy where delay > 60`,
    });
    const chosen = await copy({ before: EMPTY, swap: 'never' });
    for (const given of [granted, chosen]) {
      const oid = await oidOf(given.url);
      await startWorker(given.flow);
      await resultOf(await run(given));
      await expectCopied(given);
      expect(await oidOf(given.url)).toBe(oid);
    }
    expect(await query(granted.url, 'select count(*)::int as rows from late')).toEqual(
      await query(granted.url, 'select count(*)::int as rows from departures where delay > 60'),
    );
  });
});

describe('what comes in between', () => {
  test('others write to the table after the plan: their rows stay, ours come to them', async () => {
    const given = await copy({ mode: 'append', before: 'create table copy (like departures including all)' });
    const oid = await oidOf(given.url);
    const worker = await startWorker(given.flow, { faults: 'transform:after-commit=stop' });
    const handle = await run(given);
    await stoppedBy(given.flow, 'transform:after-commit=stop', [worker]);
    await query(
      given.url,
      `insert into copy select -id, month, delay, distance, origin, destination, updated from departures where id <= 3`,
    );
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
    const url = await freshDatabase('compared', { template });
    await query(
      url,
      `create table copy (lost int, like departures including all); alter table copy drop column lost, add column code varchar(10)`,
    );
    const database = new Database('target', url, { max: 1 });
    try {
      const beside = { table: 'sluice_staging.beside', replaces: await oidOf(url) };
      await database.transaction(async (connection) => {
        await createBeside(connection, beside, CONFIG, []);
        await buildKeys(connection, beside, CONFIG);
      });

      // When its columns are changed, then it is not replaced
      if (statement) await query(url, statement);
      const isSwapped = await database.transaction(
        async (connection) => await swapIn(connection, beside, CONFIG, await targetPlace(connection, 'copy')),
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
    const own = await seeded(postgres.url);
    const given = await copy({ template: own, server: postgres.url });
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
});

describe('a SQL transform of a first load', () => {
  test('gives a key twice and a null: its rows go by way of staging, which knows which row stays', async () => {
    // Given a transform that makes three rows twice, and one without a key
    const given = await copy({
      more: `transform: sql\`select id, origin from staging union all select id, 'TWIN' from staging where id <= 3 union all select null, 'NONE'\`,
             tolerate: { quarantined: 4 },`,
    });

    // When it runs
    await startWorker(given.flow);

    // Then these are in quarantine, and all others loaded, of what was extracted once
    expect(await resultOf(await run(given))).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, rowsQuarantined: 4 });
    expect(await query(given.url, 'select count(distinct id)::int as keys from copy')).toEqual([{ keys: ROWS }]);
    expect(await query(given.url, 'select reason, count(*)::int as rows from sluice.quarantine group by 1 order by 1')).toEqual([
      { reason: 'duplicate key in this run', rows: 3 },
      { reason: 'null is not allowed', rows: 1 },
    ]);
    expect((await copiedPartitions(given.url)).every(({ chunks, committed }) => chunks === committed)).toBe(true);
    expect(await stagingTables(given.url)).toEqual([]);
  });

  test('cannot be computed: the run says why', async () => {
    const given = await copy({ more: `transform: sql\`select id, 1 / (id - 77) as ratio from staging\`,` });
    await startWorker(given.flow);
    expect(await failureOf(await run(given))).toMatchObject({ type: 'DataRefused', message: expect.stringContaining('division by zero') });
  });

  test.each([
    ['as they are', ''],
    ['as records', 'row: z.object({ id: z.bigint(), delay: z.int() }).refine(() => true),'],
  ])('makes rows that a check refuses, of rows that came %s: a retry extracts the corrected ones', async (_how, row) => {
    // Given a late flight, and a check that allows none
    const given = await copy({
      more: `${row} transform: sql\`select id, delay * 2 as twice from staging\`, checks: [noRows('none is late', 'select * from rows where twice > 20000')],`,
    });
    await query(given.url, 'update departures set delay = 20000 where id = 77');

    // When the run has failed, and the flight is corrected
    await startWorker(given.flow);
    const handle = await run(given);
    expect(await failureOf(handle)).toMatchObject({ type: 'CheckFailed' });
    await query(given.url, 'update departures set delay = 20 where id = 77');

    // Then a retry loads what is right
    await resultOf(await retry(given, handle));
    expect(await contentOf(given.url, 'copy')).toEqual(await contentOf(given.url, '(select id, delay * 2 as twice from departures)'));
    expect(await stagingTables(given.url)).toEqual([]);
  });
});
