/** A first load is built beside its target and swapped in, where nobody could tell the new table from the old one by anything but its rows. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { whyNotSwapped } from '../../src/connectors/postgres/swap.ts';
import { contentOf } from '../helpers/checksum.ts';
import { copy, described, EMPTY, expectCopied, oidOf, ROWS, run, seeded, TARGET } from '../helpers/copy-pipeline.ts';
import { stagingTables } from '../helpers/ledger.ts';
import { resultOf } from '../helpers/runs.ts';
import { query } from '../helpers/servers.ts';
import { startWorker } from '../helpers/workers.ts';

jest.setTimeout(120_000);

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
    const url = await seeded('hanging');
    await query(url, statements);
    const database = new Database('target', url, { max: 1 });
    try {
      const found = await database.transaction(async (connection) => whyNotSwapped(connection, TARGET, await oidOf(url)));
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
