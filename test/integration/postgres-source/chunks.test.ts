/** Chunks: each row exactly once, whatever the size of the chunks, the key, and what others write meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresSourceOptions } from '../../../src/connectors/postgres/config.ts';
import { columnsOf, copyInto, never, plan, readCopies, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
let client: pg.Client;
beforeAll(async () => {
  server = await startSourceServer();
  client = await server.connect();
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  await server.requireNoLeaks();
});

async function copied(
  options: PostgresSourceOptions,
  read: { maxRows?: number; maxBytes?: number; between?: (chunk: number) => Promise<void> },
) {
  const source = server.source(options);
  const columns = await columnsOf(source);
  await server.sql(
    `drop table if exists arrived; create table arrived (${columns.map(({ name, sqlType }) => `"${name}" ${sqlType}`).join(', ')})`,
  );
  return await readCopies(source, 'binary', { columns, ...read }, copyInto(client, 'arrived'));
}

const same = async (table: string) =>
  (
    await server.sql<{ n: number }>(
      `select count(*)::int as n from ((table ${table} except all table arrived) union all (table arrived except all table ${table})) d`,
    )
  )[0]?.n;

describe('chunks by key', () => {
  beforeAll(async () => {
    await server.sql(`
      create table one (id bigint primary key, note text); insert into one select g * 3, repeat('x', g % 7) from generate_series(-50, 49) g;
      create table two (a text collate "en-x-icu", b numeric, c timestamptz, note text, primary key (a, b, c));
      insert into two select (array['Äpfel', 'apfel', 'Zebra', 'zebra', 'öl', 'O''l', 'back\\slash', '', ' '])[1 + g % 9], (g % 5) / 3.0,
        timestamptz '2001-01-01 00:00:00.123456+00' + g * interval '1 day', 'n' || g from generate_series(1, 200) g;
      create table odd (k char(3), f float8, primary key (k, f)); insert into odd select left(chr(65 + g % 26) || 'z', 1 + g % 2), (array['NaN', '-Infinity', '-0', '0.1', '1e300'])[1 + g % 5]::float8
        from generate_series(1, 130) g on conflict do nothing;
      create table repeated (k int not null, n int); insert into repeated select g / 10, g from generate_series(0, 99) g;
      create table empty (id int primary key)`);
  });

  it.each([1, 2, 3, 7, 99, 100, 101, 1000])('gives each row once in chunks of %i rows', async (maxRows) => {
    for (const table of ['one', 'two', 'odd']) {
      const { rows, chunks } = await copied({ table }, { maxRows });
      const [row] = await server.sql<{ n: number }>(`select count(*)::int as n from ${table}`);
      expect({ table, rows, differences: await same(table) }).toEqual({ table, rows: row?.n, differences: 0 });
      // The end is seen without an empty chunk.
      expect(chunks).toBe(Math.ceil((row?.n ?? 0) / maxRows));
    }
  });

  it('does not divide rows with an equal key', async () => {
    expect(await copied({ table: 'repeated', key: ['k'] }, { maxRows: 7 })).toMatchObject({ rows: 100 });
    expect(await same('repeated')).toBe(0);
  });

  it('reads a query by its key, and without one in one chunk', async () => {
    const query = 'select id, note from one where id > 0 -- the positive ones\n;  ';
    await server.sql('create or replace view positive_ones as select id, note from one where id > 0');
    expect(await copied({ query, key: ['id'] }, { maxRows: 10 })).toMatchObject({ chunks: 5, rows: 49 });
    expect(await same('positive_ones')).toBe(0);
    expect(await copied({ query: 'select id, note from one where id > 0 -- all' }, { maxRows: 10 })).toMatchObject({ chunks: 1, rows: 49 });
    expect(await same('positive_ones')).toBe(0);
  });

  it('reads an empty table in one empty chunk', async () => {
    expect(await copied({ table: 'empty' }, {})).toMatchObject({ chunks: 1, rows: 0 });
    expect(await copied({ query: 'select id from empty' }, {})).toMatchObject({ chunks: 1, rows: 0 });
  });

  it('makes chunks smaller where the rows are wide', async () => {
    await server.sql(`create table wide (id int primary key, note text); alter table wide alter note set storage external;
      insert into wide select g, repeat('x', 100000) from generate_series(1, 100) g; analyze wide`);
    const { chunks } = await copied({ table: 'wide' }, { maxBytes: 1_000_000 });
    expect(chunks).toBeGreaterThanOrEqual(10);
    expect(chunks).toBeLessThanOrEqual(13);
    expect(await same('wide')).toBe(0);
  });

  it('numbers records through the chunks, in the order of the key', async () => {
    const source = server.source({ table: 'two' });
    const records = await readRecords(source, { columns: await columnsOf(source), maxRows: 33 });
    const expected = await server.sql<{ note: string }>('select note from two order by a, b, c');
    expect(records.map((record) => record.values?.note)).toEqual(expected.map((row) => row.note));
    expect(records.map((record) => record.position)).toEqual(expected.map((_, index) => index));
  });
});

describe('while others write', () => {
  it('reads a row that is present throughout exactly once', async () => {
    await server.sql(
      `create table live (id int primary key, note text); insert into live select g * 10, 'first' from generate_series(1, 500) g`,
    );
    let made = 0;
    await copied(
      { table: 'live' },
      {
        maxRows: 37,
        between: async (chunk) => {
          // Rows move in the heap; some come and go on both sides of the chunk's end.
          await server.sql(`update live set note = 'changed ' || $1 where id % 10 = 0`, [chunk]);
          await server.sql("insert into live select g * 10 + $1, 'new' from generate_series(1, 500, 50) g on conflict do nothing", [
            1 + (chunk % 9),
          ]);
          await server.sql('delete from live where id % 10 = $1', [1 + ((chunk + 5) % 9)]);
          await server.sql('vacuum live');
          made++;
        },
      },
    );
    expect(made).toBeGreaterThan(10);
    const [row] = await server.sql('select count(*)::int as rows, count(distinct id)::int as ids from arrived where id % 10 = 0');
    expect(row).toEqual({ rows: 500, ids: 500 });
    const [twice] = await server.sql('select count(*)::int as n from (select id from arrived group by id having count(*) > 1) d');
    expect(twice).toEqual({ n: 0 });
  });

  it('waits for a table that is being rewritten instead of seeing it empty', async () => {
    await server.sql(`create table rewritten (id int primary key, v int); insert into rewritten select g, g from generate_series(1, 10) g`);
    const source = server.source({ table: 'rewritten' });
    const columns = [{ name: 'id', sqlType: 'integer' }];
    await source.describe(never);
    const [partition] = await plan(source, { columns });
    const other = await server.connect();
    await other.query('begin; alter table rewritten alter v type bigint');
    const chunk = await source.readCopy?.({
      partition: partition as never,
      columns,
      schema: [],
      transfer: 'binary',
      window: null,
      position: null,
      maxRows: 100,
      maxBytes: 1e6,
      signal: never,
    });
    const reading = (async () => {
      for await (const _ of chunk?.bytes ?? []);
      return chunk?.end().rowsRead;
    })();
    await delay(300);
    await other.query('commit');
    expect(await reading).toBe(10);
  });
});

describe('a reading that does not come to its end', () => {
  const columns = [
    { name: 'id', sqlType: 'integer' },
    { name: 'note', sqlType: 'text' },
  ];
  beforeAll(async () => {
    await server.sql(
      `create table large (id int primary key, note text); insert into large select g, repeat(md5(g::text), 20) from generate_series(1, 100000) g`,
    );
  });

  async function openChunk(signal: AbortSignal) {
    const source = server.source({ table: 'large' });
    const [partition] = await plan(source, { columns });
    const request = { partition: partition as never, window: null, position: null, maxRows: 1e6, maxBytes: 1e12, signal };
    return { source, request };
  }
  const busy = async () =>
    (
      await server.sql<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where application_name = 'sluice' and state <> 'idle'`,
      )
    )[0]?.n;

  it('gives the connection back when the reader stops', async () => {
    const { source, request } = await openChunk(never);
    const chunk = await source.readCopy?.({ ...request, columns, schema: [], transfer: 'binary' });
    for await (const _ of chunk?.bytes ?? []) break;
    for await (const _ of (await source.readRecords({ ...request, columns: ['id'] })).batches) break;
    expect(() => chunk?.end()).toThrow();
    for (let tries = 0; (await busy()) !== 0 && tries < 100; tries++) await delay(20);
    expect(await busy()).toBe(0);
  });

  it('gives the connection back when it is aborted between two pieces, and throws the reason', async () => {
    const controller = new AbortController();
    const { source, request } = await openChunk(controller.signal);
    const chunk = await source.readCopy?.({ ...request, columns, schema: [], transfer: 'binary' });
    const iterator = chunk?.bytes[Symbol.asyncIterator]();
    await iterator?.next();
    const reason = new Error('cancelled');
    controller.abort(reason);
    for (let tries = 0; (await busy()) !== 0 && tries < 100; tries++) await delay(20);
    expect(await busy()).toBe(0);
    await expect(
      (async () => {
        for (;;) if ((await iterator?.next())?.done) break;
      })(),
    ).rejects.toBe(reason);
  });

  it('ends a statement that is running on the server when it is aborted', async () => {
    const controller = new AbortController();
    const source = server.source({ query: 'select g as id from generate_series(1, 3) g where pg_sleep(60) is not null' });
    const partition = { name: 'all', filter: { kind: 'all' as const }, bounds: null, rowsExpected: null };
    const request = { partition, window: null, position: null, maxRows: 10, maxBytes: 1e6, signal: controller.signal };
    const chunk = await source.readCopy?.({ ...request, columns: [{ name: 'id', sqlType: 'integer' }], schema: [], transfer: 'binary' });
    const reading = (async () => {
      for await (const _ of chunk?.bytes ?? []);
    })();
    await delay(500);
    expect(await busy()).toBe(1);
    controller.abort(new Error('cancelled'));
    await expect(reading).rejects.toThrow('cancelled');
    // The server looks every second.
    for (let tries = 0; (await busy()) !== 0 && tries < 200; tries++) await delay(20);
    expect(await busy()).toBe(0);
  });

  it('says what happened when the server ends the session', async () => {
    const { source, request } = await openChunk(never);
    const chunk = await source.readCopy?.({ ...request, columns, schema: [], transfer: 'binary' });
    const iterator = chunk?.bytes[Symbol.asyncIterator]();
    await iterator?.next();
    await server.sql(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice'`);
    await expect(
      (async () => {
        for (;;) if ((await iterator?.next())?.done) break;
      })(),
    ).rejects.toMatchObject({ kind: 'transient', blameless: true });
  });

  it('holds nothing before it is read', async () => {
    const { source, request } = await openChunk(never);
    await source.readCopy?.({ ...request, columns, schema: [], transfer: 'binary' });
    await source.readRecords({ ...request, columns: ['id'] });
    expect(await busy()).toBe(0);
  });

  it('refuses to start when it is aborted already', async () => {
    const { source, request } = await openChunk(AbortSignal.abort(new Error('too late')));
    const chunk = await source.readCopy?.({ ...request, columns, schema: [], transfer: 'binary' });
    await expect(
      (async () => {
        for await (const _ of chunk?.bytes ?? []);
      })(),
    ).rejects.toThrow('too late');
  });
});
