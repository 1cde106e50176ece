/** An incremental window ends below what an open transaction can still commit, and its boundary is (cursor, key). */
import { setTimeout as delay } from 'node:timers/promises';
import { earliestLocalTime } from '../../../src/connectors/postgres/cursor-window.ts';
import type { CursorWindow, Source } from '../../../src/connectors/source.ts';
import { columnsOf, never, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
beforeAll(async () => {
  server = await startSourceServer({ max_prepared_transactions: '5' });
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await server.sql(
    `drop table if exists changes; create table changes (id serial primary key, at timestamptz default now(), local timestamp default now(), v text)`,
  );
});
afterEach(async () => {
  await server.requireNoLeaks();
});

async function window(source: Source, low: readonly string[] | null, cursor = 'at', lag: string | null = null): Promise<CursorWindow> {
  return (await source.nextWindow?.(cursor, ['id'], low, lag, never)) as CursorWindow;
}

async function idsIn(source: Source, window: CursorWindow, maxRows = 3): Promise<number[]> {
  if (!window.high) return [];
  const records = await readRecords(source, { columns: await columnsOf(source), window, maxRows });
  return records.map((record) => Number(record.values?.id));
}

it('goes on after the watermark, and does not read a row twice', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(
    `insert into changes (at, v) select timestamptz '2001-01-01 00:00:00.123456+00' + (g / 4) * interval '1 s', g from generate_series(1, 10) g`,
  );
  const first = await window(source, null);
  expect(first.high).toEqual(['2001-01-01 00:00:02.123456+00', '10']);
  expect(await idsIn(source, first)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await window(source, first.high)).high).toBeNull();
  await server.sql(`insert into changes (at) values ('2001-01-01 00:00:02.123456+00'), (default)`);
  const second = await window(source, first.high);
  // Equal to the boundary's cursor, with a larger key: new.
  expect(await idsIn(source, second)).toEqual([11, 12]);
});

it('has equal cursor values on both sides of the boundary', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (at) select '2001-01-01' from generate_series(1, 20)`);
  const low = [(await window(source, null)).high?.[0] ?? '', '7'];
  expect(await idsIn(source, await window(source, low), 4)).toEqual([8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
});

it('stops below a transaction that is still open, and takes its rows later', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (v) values ('before')`);
  const slow = await server.connect();
  await slow.query('begin');
  await slow.query('select 1');
  await delay(20);
  await server.sql(`insert into changes (v) values ('after the slow one began')`);
  const first = await window(source, null);
  expect(await idsIn(source, first)).toEqual([1]);
  await slow.query(`insert into changes (v) values ('slow')`);
  await slow.query('commit');
  const second = await window(source, first.high);
  expect((await idsIn(source, second)).sort()).toEqual([2, 3]);
});

it('takes a timestamp without time zone in the zone of the sessions', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (v) values ('now')`);
  expect((await window(source, null, 'local')).high?.[1]).toBe('1');
  await server.sql(`insert into changes (local) values (now() + interval '1 hour')`);
  expect((await window(source, null, 'local')).high?.[1]).toBe('1');
  await server.sql('insert into changes (local) values (null)');
  await expect(window(source, null, 'local')).rejects.toMatchObject({ code: 'NullInCursor' });
});

it.each([
  ['Europe/Berlin', '2026-10-24 23:30:00+00', '2026-10-25 01:30:00'],
  ['Europe/Berlin', '2026-10-25 00:50:00+00', '2026-10-25 02:00:00'],
  ['Europe/Berlin', '2026-10-25 01:10:00+00', '2026-10-25 02:10:00'],
  ['Europe/Berlin', '2026-03-29 00:50:00+00', '2026-03-29 01:50:00'],
  ['Australia/Lord_Howe', '2026-04-04 14:59:00+00', '2026-04-05 01:30:00'],
  ['America/Havana', '2026-11-01 04:59:59.5+00', '2026-11-01 00:00:00'],
  ['Asia/Kathmandu', '2026-10-25 00:50:00.123456+00', '2026-10-25 06:35:00.123456'],
])('in %s, the earliest time that clocks show from %s on is %s', async (zone, instant, expected) => {
  expect(await server.sql(`select ${earliestLocalTime(instant, zone)}::text as time`)).toEqual([{ time: expected }]);
});

it('stops before the hour that comes twice when the clocks are put back', async () => {
  // Given a role whose clocks are put back by an hour within the next 20 minutes
  await server.sql(`drop role if exists autumn; create role autumn login password 'pw'; grant pg_read_all_stats to autumn`);
  await server.sql('grant select on changes to autumn');
  const change = new Date(Math.ceil((Date.now() + 5 * 60_000) / 900_000) * 900_000);
  await server.sql(`alter role autumn set timezone = '${zonePutBackAt(change)}'`);
  const source = server.source({ table: 'changes', url: server.urlOf('autumn', 'pw') });
  const atChange = `timestamp '${change.toISOString().slice(0, 19)}'`;
  await server.sql(
    `insert into changes (local) values (${atChange} - interval '1 s'), (${atChange}), (now() at time zone 'UTC' + interval '59 minutes')`,
  );

  // Then what is written in the hour to come does not lie below the watermark
  expect((await window(source, null, 'local')).high?.[1]).toBe('1');
});

/** A time zone an hour east of UTC, in which summer ends at an instant. */
function zonePutBackAt(instant: Date): string {
  const day = (at: Date) => Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / 86_400_000);
  const start = day(new Date(instant.getTime() - 100 * 86_400_000));
  return `WIN0SUM-1,${start},${day(instant)}/${instant.getUTCHours() + 1}:${instant.getUTCMinutes()}`;
}

it.each([
  ['timestamptz', 'infinity'],
  ['timestamp', '-infinity'],
  ['date', 'infinity'],
  ['numeric', 'NaN'],
  ['numeric', 'Infinity'],
])('refuses a cursor of type %s that is %s in some row, after which nothing would come', async (type, value) => {
  const source = server.source({ table: 'changes' });
  await server.sql(`alter table changes add column late ${type} not null default ${type === 'numeric' ? '1' : `'2001-01-01'`}`);
  await server.sql(`insert into changes (v) values ('a')`);
  expect((await window(source, null, 'late')).high?.[1]).toBe('1');
  await server.sql(`insert into changes (late) values ('${value}')`);
  await expect(window(source, null, 'late')).rejects.toMatchObject({ code: 'EndlessCursor', message: expect.stringContaining(value) });
  await expect(window(source, null, 'late', type === 'numeric' ? '1' : '1 minute')).rejects.toMatchObject({ code: 'EndlessCursor' });
  // What the message says to do.
  const condition = type === 'numeric' ? `late < '${value}'` : 'isfinite(late)';
  const query = server.source({ query: `select * from changes where ${condition}` });
  expect((await window(query, null, 'late')).high?.[1]).toBe('1');
});

it('stays behind by a stated lag', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (at) values (now() - interval '10 minutes'), (now() - interval '1 minute')`);
  expect((await window(source, null, 'at', '5 minutes')).high?.[1]).toBe('1');
  await expect(window(source, null, 'at', '5 parsecs')).rejects.toMatchObject({ code: 'InvalidDefinition' });
});

it('waits with an integer cursor for those who have drawn a smaller number', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (v) values ('a')`);
  const slow = await server.connect();
  await slow.query('begin');
  // Draws 2, and has no transaction id yet that a snapshot would show.
  await slow.query(`select nextval('changes_id_seq')`);
  await server.sql(`insert into changes (v) values ('c')`);
  let found: CursorWindow | null = null;
  const finding = window(source, null, 'id').then((each) => {
    found = each;
  });
  await delay(400);
  expect(found).toBeNull();
  await slow.query(`insert into changes (id, v) values (2, 'b')`);
  await slow.query('commit');
  await finding;
  expect(await idsIn(source, found as never)).toEqual([1, 2, 3]);
});

it.each([
  ['an identity', 'n bigint generated always as identity (cache 100)', 'changes_n_seq'],
  ['a default', `n int default nextval('"Shared"')`, '"Shared"'],
  ['a serial', 'n serial', 'changes_n_seq'],
])(
  'refuses an integer cursor that is %s with numbers that sessions take in advance, unless a lag is stated',
  async (_, column, sequence) => {
    await server.sql(
      `create sequence if not exists "Shared" cache 100; alter sequence "Shared" cache 100; alter table changes add column ${column}`,
    );
    await server.sql(`alter sequence ${sequence} cache 100`);
    const sources = [server.source({ table: 'changes' }), server.source({ query: 'select n, id from changes where id > 0', key: ['id'] })];
    // A session keeps 2 to 100 for later, and inserts them when 101 is there
    const slow = await server.connect();
    await slow.query(`insert into changes (v) values ('1')`);
    await server.sql(`insert into changes (v) values ('101')`);

    for (const source of sources) {
      await expect(window(source, null, 'n')).rejects.toMatchObject({
        code: 'CachedSequence',
        message: expect.stringContaining(`ALTER SEQUENCE ${sequence} CACHE 1;`),
      });
      expect((await window(source, null, 'n', '100')).high?.[0]).toBe('1');
    }
    // What the message says to do.
    await server.sql(`alter sequence ${sequence} cache 1`);
    await slow.end();
    for (const source of sources) expect((await window(source, null, 'n')).high?.[0]).toBe('101');
  },
);

it('refuses an integer cursor that counts down', async () => {
  await server.sql('alter table changes add column n int generated by default as identity (increment -1)');
  const source = server.source({ table: 'changes' });
  for (const lag of [null, '5']) await expect(window(source, null, 'n', lag)).rejects.toMatchObject({ code: 'DescendingCursor' });
});

it('does not wait for readers with an integer cursor, and can be aborted', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (v) values ('a')`);
  const reader = await server.connect();
  await reader.query('begin isolation level repeatable read');
  await reader.query('select * from changes');
  expect((await window(source, null, 'id')).high).toEqual(['1', '1']);
  await reader.query('commit');

  const writer = await server.connect();
  await writer.query(`begin; insert into changes (v) values ('b')`);
  const controller = new AbortController();
  const waiting = source.nextWindow?.('id', ['id'], null, null, controller.signal);
  setTimeout(() => controller.abort(), 300);
  await expect(waiting).rejects.toThrow();
  expect((await window(source, null, 'id', '0')).high).toEqual(['1', '1']);
  await writer.query('rollback');
});

it('waits for prepared transactions', async () => {
  const source = server.source({ table: 'changes' });
  await server.sql(`insert into changes (v) values ('a')`);
  const other = await server.connect();
  await other.query(`begin; insert into changes (v) values ('b'); prepare transaction 'two'`);
  await delay(20);
  await server.sql(`insert into changes (v) values ('c')`);
  const waiting = [window(source, null), window(source, null, 'id')];
  await delay(400);
  await other.query(`commit prepared 'two'`);
  for (const each of await Promise.all(waiting)) expect((await idsIn(source, each)).sort()).toEqual([1, 2, 3]);
});

it('refuses a role that does not see the transactions of others, unless a lag is stated', async () => {
  await server.sql(
    `drop role if exists blind; create role blind login password 'pw'; grant select on changes to blind; insert into changes (at) values ('2001-01-01')`,
  );
  const source = server.source({ table: 'changes', url: server.urlOf('blind', 'pw') });
  await expect(window(source, null)).rejects.toMatchObject({
    code: 'MissingGrant',
    message: expect.stringContaining('GRANT pg_read_all_stats TO "blind"'),
  });
  expect((await window(source, null, 'at', '1 minute')).high?.[1]).toBe('1');
  // Locks are visible to all.
  expect((await window(source, null, 'id')).high?.[1]).toBe('1');
  await server.sql('grant pg_read_all_stats to blind');
  expect((await window(source, null)).high?.[1]).toBe('1');
});

it('refuses a column that cannot be a cursor', async () => {
  const source = server.source({ table: 'changes' });
  await expect(window(source, null, 'v')).rejects.toMatchObject({
    code: 'InvalidDefinition',
    message: expect.stringContaining('"v" is text'),
  });
  await expect(window(source, null, 'w')).rejects.toMatchObject({ code: 'MissingColumn' });
});
