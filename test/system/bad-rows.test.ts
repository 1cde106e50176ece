/** Bad rows: each in quarantine with a reason, its column and its bytes as received; all the good ones are loaded. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Client } from '@temporalio/client';
import { stagingTable } from '../../src/ledger/staging.ts';
import { contentOf } from '../helpers/checksum.ts';
import { bytes, dirt, expectRows, quarantineOf, realRows, writeDirtyFile } from '../helpers/dirty-file.ts';
import { failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

let url: string;
let flow: Project;
let client: Client;
const PIPELINES: [string, string][] = [];

/** Declares a pipeline; all are there before the worker starts. */
function pipeline(name: string, text: string): void {
  PIPELINES.push([name, text]);
}

const definition = (name: string, text: string) => `
import { csv, definePipeline, file, jsonl, keyRange, parquet, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({ name: '${name}', ${text} });`;

beforeAll(async () => {
  url = await freshDatabase('bad_rows');
  flow = await project('bad-rows', url);
  client = await temporalClient();
  await Promise.all(PIPELINES.map(([name, text]) => flow.write(`${name}.ts`, definition(name, text))));
  await startWorker(flow);
});

const run = async (name: string, params = {}) => await resultOf(await startRun(client, flow, name, params));
const file = (name: string) => join(flow.folder, name);

describe('CSV', () => {
  const ZIPCODES = ['zip_code', 'latitude', 'longitude', 'city', 'state', 'county'];
  const named = (row: readonly (string | null)[]) => Object.fromEntries(ZIPCODES.map((name, index) => [name, row[index]]));
  /** The row that a table has before it is loaded. */
  const ALREADY = ['already', '', '', '', '', ''];

  pipeline(
    'zipcodes',
    `source: csv({ files: 'zipcodes.csv' }), tolerate: { quarantined: 20 }, chunk: { rows: 5_000 },
     row: z.object({ zip_code: z.string().length(5).nullable(), latitude: z.number(), longitude: z.number().min(-180),
       city: z.string().max(26), state: z.string(), county: z.string().nullable() }),
     target: postgres({ table: 'zipcodes', mode: 'upsert', key: ['zip_code'] })`,
  );

  test('types, lengths, keys, quoting, UTF-8, NUL and numbers', async () => {
    // Given 42,049 zip codes with a bad line of every kind among them
    await query(
      url,
      `create table zipcodes (zip_code char(5) primary key, latitude numeric(8,6), longitude double precision, city text, state varchar(2), county text)`,
    );
    const good = realRows('zipcodes.csv');
    const expected = await writeDirtyFile(
      file('zipcodes.csv'),
      'zip_code,latitude,longitude,city,state,county',
      good.map((row) => row.join(',')),
      [
        dirt('99999,north,-70,Nowhere,XX,Y', 'latitude', 'expected a number'),
        dirt('99999,40.5,-70,Nowhere,XX', null, 'expected 6 fields, found 5'),
        dirt('99999,40.5,-70,Nowhere,XX,Y,Z', null, 'expected 6 fields, found 7'),
        dirt('999999,40.5,-70,Nowhere,XX,Y', 'zip_code', 'length is not 5'),
        dirt('99999,40.5,-180.5,Nowhere,XX,Y', 'longitude', 'less than -180'),
        dirt('99999,40.5,-70,The City That Has a Long Name,XX,Y', 'city', 'longer than 26'),
        dirt('99999,40.5,-70,Nowhere,XXX,Y', 'state', 'longer than 2'),
        dirt(',40.5,-70,Nowhere,XX,Y', 'zip_code', 'null is not allowed'),
        dirt('99999,,-70,Nowhere,XX,Y', 'latitude', 'null is not allowed'),
        dirt('99999,140.5,-70,Nowhere,XX,Y', 'latitude', 'out of range for numeric(8,6)'),
        dirt('99999,1e400,-70,Nowhere,XX,Y', 'latitude', 'outside the range of a number'),
        dirt(bytes('99999,40.5,-70,No', 0xff, 'where,XX,Y'), 'city', 'invalid UTF-8'),
        dirt(bytes('99999,40.5,-70,No', 0xed, 0xa0, 0x80, 'where,XX,Y'), 'city', 'invalid UTF-8'),
        dirt(bytes('99999,40.5,-70,Nowhere,XX,', 0, 'Y'), 'county', 'contains a NUL byte'),
        dirt('99999,40.5,-70,"Nowhere"!,XX,Y', null, 'broken quoting: text after a closing quote'),
        dirt('99999,40.5,-70,No"where,XX,Y', null, 'broken quoting: a quote inside an unquoted field'),
        // The first row of the file again, written otherwise: found in staging, its bytes read again from the file.
        dirt(`"00501", 40.5 ,-70,"Dupli""cate",XX,`.replaceAll(' ', ''), 'zip_code', 'duplicate key in this run'),
        dirt('99999,40.5,-70,"Nowhere,XX,Y', null, 'broken quoting: a quote is not closed'),
      ],
      '\r\n',
    );

    // When it is loaded
    const summary = await run('zipcodes');

    // Then each bad line is in quarantine as it was, and each good one in the table
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsRead: good.length + 18, rowsLoaded: good.length, rowsQuarantined: 18 });
    await expectRows(url, 'zipcodes', good.map(named));
  });

  pipeline(
    'twins',
    `params: z.object({ file: z.string() }), source: ({ file }) => csv({ files: file }), tolerate: { quarantined: 20 },
     target: postgres({ table: 'twins', mode: 'append', key: ['zip_code'] })`,
  );

  test('a target that refuses two rows with one key is asked first, and then the rows are looked through', async () => {
    // Given a table with rows and a primary key
    await query(
      url,
      `create table twins (zip_code text primary key, latitude text, longitude text, city text, state text, county text);
       insert into twins values ('already', '', '', '', '', '')`,
    );
    const good = realRows('zipcodes.csv');
    const [second, last] = [good[1], good.at(-1)].map((row) => (row ?? []).join(','));
    const lines = good.map((row) => row.join(','));
    const expected = await writeDirtyFile(file('twins.csv'), ZIPCODES.join(','), lines, [
      dirt(`${second}`, 'zip_code', 'duplicate key in this run'),
      dirt(`${second}!`, 'zip_code', 'duplicate key in this run'),
    ]);

    // When the file holds keys twice, they are in quarantine as they were, and all else is loaded
    const summary = await run('twins', { file: 'twins.csv' });
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    const rows = [ALREADY, ...good];
    await expectRows(url, 'twins', rows.map(named));

    // And when the key is the target's already, the run fails and says which
    await writeFile(file('again.csv'), `${ZIPCODES.join(',')}\n${last}\n`);
    const failure = await failureOf(await startRun(client, flow, 'twins', { file: 'again.csv' }));
    expect(failure).toMatchObject({
      type: 'DataRefused',
      message: expect.stringMatching(/Key \(zip_code\).*already exists.*Nothing was changed/s),
    });
    await expectRows(url, 'twins', rows.map(named));
  });

  const STRIKES = [
    'airport',
    'aircraft',
    'damage',
    'day',
    'operator',
    'state',
    'phase',
    'size',
    'species',
    'light',
    'other',
    'repair',
    'total',
    'knots',
  ];
  pipeline(
    'strikes',
    `source: csv({ files: 'strikes.csv', header: ${JSON.stringify(STRIKES)} }), tolerate: { quarantined: '0.1%' }, chunk: { rows: 1_111 },
     params: z.object({ tolerate: z.string().optional() }),
     row: z.object({ airport: z.string(), day: z.date(), total: z.int(), knots: z.int().nullable() }),
     transform: (row) => { if (row.airport === 'THROW') throw new Error('no such airport'); return row.airport === 'DROP' ? null : row; },
     target: postgres({ table: 'strikes', mode: 'append' })`,
  );

  pipeline(
    'twins_in_parts',
    `source: csv({ files: 'parts/*.csv' }), partitionBy: file(), commit: 'partition', tolerate: { quarantined: 20 },
     target: postgres({ table: 'twins_in_parts', mode: 'append', key: ['zip_code'] })`,
  );

  test('the same with more partitions than are loaded at once: each is looked through when the target has refused it', async () => {
    // Given twelve files, and in each of them a key that is there twice
    await query(
      url,
      `create table twins_in_parts (zip_code text primary key, latitude text, longitude text, city text, state text, county text);
       insert into twins_in_parts values ('already', '', '', '', '', '')`,
    );
    const good = realRows('zipcodes.csv').slice(0, 1_200);
    const parts = Array.from({ length: 12 }, (_, nth) => good.slice(nth * 100, nth * 100 + 100));
    await mkdir(file('parts'));
    for (const [nth, rows] of parts.entries()) {
      const lines = [...rows, rows[7] ?? []].map((row) => row.join(','));
      await writeFile(file(`parts/${nth}.csv`), `${[ZIPCODES.join(','), ...lines].join('\n')}\n`);
    }

    // When they are loaded
    const summary = await run('twins_in_parts');

    // Then each second one is in quarantine, and all else is loaded
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: parts.length });
    const quarantined = (await quarantineOf(url, summary.runKey)).map(({ record, reason }) => [record, reason]);
    expect(quarantined.sort()).toEqual(parts.map((rows) => [(rows[7] ?? []).join(','), 'duplicate key in this run']).sort());
    await expectRows(url, 'twins_in_parts', [ALREADY, ...good].map(named));
  });

  test('dates, integers, and a row function that throws', async () => {
    // Given 10,000 bird strikes, bad lines among them
    await query(url, `create table strikes (airport varchar(38), day date, total integer, knots smallint)`);
    const good = realRows('birdstrikes.csv');
    const bad = (airport: string, day: string, total: string, knots: string) => `${airport},,,${day},,,,,,,0,0,${total},${knots}`;
    const rows = good.map((row) => row.join(','));
    const dirty = [
      dirt(bad('A', '2001-02-30', '1', '1'), 'day', 'not a date that exists'),
      dirt(bad('A', '2001-13-01', '1', '1'), 'day', 'not a date that exists'),
      dirt(bad('A', '02/03/2001', '1', '1'), 'day', 'expected a date'),
      dirt(bad('A', '2001-02-03', '2147483648', '1'), 'total', 'out of range for integer'),
      dirt(bad('A', '2001-02-03', '9007199254740993', '1'), 'total', 'outside the range of a safe integer'),
      dirt(bad('A', '2001-02-03', '1.5', '1'), 'total', 'expected an integer'),
      dirt(bad('A', '2001-02-03', '1', '32768'), 'knots', 'out of range for smallint'),
      dirt(bad('A'.repeat(39), '2001-02-03', '1', '1'), 'airport', 'longer than 38'),
      dirt(bad('THROW', '2001-02-03', '1', '1'), null, 'row function: no such airport'),
      dirt(bad('', '2001-02-03', '1', '1'), 'airport', 'null is not allowed'),
    ];
    rows.splice(5_000, 0, bad('DROP', '2001-02-03', '1', '1'));
    const expected = await writeDirtyFile(file('strikes.csv'), null, rows, dirty);

    // When 0.1 percent are tolerated, and these are just that
    const summary = await run('strikes');

    // Then they are in quarantine, and the rest is loaded without the row that was dropped
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsRead: 10_011, rowsLoaded: 10_000, rowsQuarantined: 10 });
    await expectRows(
      url,
      'strikes',
      good.map((row) => ({ airport: row[0], day: row[3], total: row[12], knots: row[13] === '' ? null : row[13] })),
    );

    // And one more is too many: the run fails before anything is committed
    const before = await contentOf(url, 'strikes');
    await writeDirtyFile(
      file('strikes.csv'),
      null,
      rows,
      [...dirty, dirt('', null, '')].map((each) => (each.line === '' ? (dirty[0] ?? each) : each)),
    );
    const failure = await failureOf(await startRun(client, flow, 'strikes'));
    expect(failure.type).toBe('TooManyQuarantined');
    expect(failure.message).toMatch(/11 of 10012 rows are in quarantine, 10 are tolerated \(3 × day: not a date that exists/);
    expect(await contentOf(url, 'strikes')).toEqual(before);
  });
});

describe('JSON lines', () => {
  pipeline(
    'routes',
    `source: jsonl({ files: 'routes.jsonl' }), tolerate: { quarantined: 30 }, chunk: { rows: 700 },
     row: z.object({ origin: z.string().max(3).nullable(), destination: z.string(), count: z.int(), share: z.number(), day: z.date(), tags: z.json().nullable() }),
     target: postgres({ table: 'routes', mode: 'append', key: ['origin', 'destination'] })`,
  );

  test('broken JSON and all that a value may be wrong in', async () => {
    // Given the routes between airports as JSON, bad lines among them
    await query(
      url,
      `create table routes (origin char(3), destination varchar(3), count integer, share numeric(6,2), day date, tags jsonb, primary key (origin, destination))`,
    );
    const good = realRows('flights-airport.csv').map(([origin, destination, count], index) => ({
      origin,
      destination,
      count: Number(count),
      share: Number(count) / 100,
      day: new Date(Date.UTC(2001, 0, 1 + (index % 365))).toISOString().slice(0, 10),
      tags: index % 3 === 0 ? null : [`é"${index}\n`],
    }));
    const bad = (values: object) =>
      JSON.stringify({ origin: 'XX1', destination: 'XX2', count: 1, share: 1, day: '2001-01-01', tags: null, ...values });
    const expected = await writeDirtyFile(
      file('routes.jsonl'),
      null,
      good.map((row) => JSON.stringify(row)),
      [
        dirt('{"origin": "XX1", "destination": ', null, 'not valid JSON'),
        dirt(`${bad({})},`, null, 'not valid JSON'),
        dirt('["XX1", "XX2", 1]', null, 'not a JSON object'),
        dirt(bad({ count: undefined }), 'count', 'missing'),
        dirt(bad({ count: '1' }), 'count', 'expected an integer'),
        dirt(bad({ count: 1.5 }), 'count', 'expected an integer'),
        dirt(bad({ count: 2147483648 }), 'count', 'out of range for integer'),
        dirt(bad({ share: 99999.995 }), 'share', 'out of range for numeric(6,2)'),
        dirt(bad({ share: 'much' }), 'share', 'expected a number'),
        dirt(bad({ day: '2001-02-30' }), 'day', 'not a date that exists'),
        dirt(bad({ origin: null }), 'origin', 'null is not allowed'),
        dirt(bad({ origin: 'LONG' }), 'origin', 'longer than 3'),
        dirt(bad({ destination: 'LONG' }), 'destination', 'longer than 3'),
        dirt(bad({ destination: 'X\0Y' }), 'destination', 'contains a NUL byte'),
        dirt(bytes('{"origin": "X', 0, '1", "destination": "XX2"}'), null, 'contains a NUL byte'),
        dirt(bytes('{"origin": "', 0xc3, 0x28, '", "destination": "XX2"}'), null, 'invalid UTF-8'),
        dirt(bad({ destination: '\ud800' }).replace('\ud800', '\\ud800'), 'destination', 'contains half of a surrogate pair'),
        dirt(bad({ tags: ['\0'] }), 'tags', 'contains a NUL byte'),
        dirt(`  ${JSON.stringify({ ...good[0], count: 7 })}  `, 'origin, destination', 'duplicate key in this run'),
        dirt(
          `{"tags":null,"count":8,"share":1e0,"day":"2001-01-01","destination":"${good[0]?.destination}","origin":"${good[0]?.origin}"}`,
          'origin, destination',
          'duplicate key in this run',
        ),
      ],
    );

    // When it is loaded
    const summary = await run('routes');

    // Then each bad line is in quarantine as it was, and each good one in the table
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: expected.length });
    await expectRows(url, 'routes', good);
  });
});

describe('values that only the server refuses', () => {
  const NAMES = ['id', 'origin', 'mood', 'net', 'span', 'moods', 'at', 'words'];
  const target = (table: string) =>
    `create table ${table} (id integer primary key, origin iata, mood cheer, net inet, span int4range, moods mood[], at time, words tsvector)`;
  const chunk = `tolerate: { quarantined: 40 }, chunk: { rows: 617 }`;
  pipeline(
    'careful_csv',
    `source: csv({ files: 'careful.csv' }), ${chunk}, target: postgres({ table: 'careful_csv', mode: 'append', key: ['id'], swap: 'never' })`,
  );
  pipeline(
    'careful_jsonl',
    `source: jsonl({ files: 'careful.jsonl', columns: ${JSON.stringify(NAMES)} }), ${chunk}, target: postgres({ table: 'careful_jsonl', mode: 'append', key: ['id'] })`,
  );
  const good = realRows('flights-airport.csv').map(([origin, , count], id) => ({
    id: String(id),
    origin,
    mood: id % 2 ? 'ok' : 'sad',
    net: `10.0.${id >> 8}.${id & 255}`,
    span: `[1,${Number(count) + 2})`,
    moods: id % 5 ? '{ok,sad}' : '{}',
    at: `0${id % 10}:00:00`,
    words: `'${origin}'`,
  }));
  const csvLine = (row: Record<string, string | undefined>) => NAMES.map((name) => `"${row[name]}"`).join(',');
  const model = { id: '77777', origin: 'XXX', mood: 'ok', net: '10.0.0.1', span: '[1,2)', moods: '{}', at: '10:00', words: 'a' };
  const bad: readonly [Partial<typeof model>, string][] = [
    [{ origin: 'xxx' }, 'value for domain iata violates check constraint "iata_check"'],
    [{ mood: 'furious' }, 'invalid input value for enum mood'],
    [{ mood: 'sour' }, 'value for domain cheer violates check constraint "cheer_check"'],
    [{ net: '10.0.0.256' }, 'invalid input syntax for type inet'],
    [{ span: '[2,1)' }, 'range lower bound must be less than or equal to range upper bound'],
    [{ span: '[a,b]' }, 'invalid input syntax for type integer'],
    [{ moods: '{ok,furious}' }, 'invalid input value for enum mood'],
    [{ moods: '{ok' }, 'malformed array literal'],
    [{ at: '25:00' }, 'date/time field value out of range'],
    [{ words: 'w'.repeat(2_100) }, 'word is too long (2100 bytes, max 2046 bytes)'],
  ];
  // Side by side at the start, at the end and in the middle, so that they fall on both sides of chunks and of savepoints.
  const dirtyRows = [...bad, ...bad, ...bad];

  beforeAll(async () => {
    await query(
      url,
      `create type mood as enum ('sad', 'ok', 'sour'); create domain cheer as mood check (value <> 'sour'); create domain iata as text check (value ~ '^[A-Z0-9]{3}$')`,
    );
  });

  const dirtOf = (line: (row: Record<string, string>) => string) =>
    dirtyRows.map(([values, reason]) => dirt(line({ ...model, ...values }), Object.keys(values)[0] ?? null, reason));

  test('are found one by one, though chunks were repeated after a crash that emptied staging', async () => {
    // Given a file, and a worker that dies in its fifth chunk
    await query(url, target('careful_csv'));
    const expected = await writeDirtyFile(file('careful.csv'), NAMES.join(','), good.map(csvLine), dirtOf(csvLine));
    const own = await project('careful', url);
    const [, text = ''] = PIPELINES.find(([name]) => name === 'careful_csv') ?? [];
    await own.write('careful.ts', definition('careful_csv', text.replace("'careful.csv'", `'${file('careful.csv')}'`)));
    const doomed = await startWorker(own, { faults: 'chunk:before-commit@5=kill' });
    const running = await startRun(client, own, 'careful_csv');
    expect(await doomed.ended).toBe('SIGKILL');
    const [left] = await query<{ run_key: string; rows: number }>(
      url,
      `select run_key, (select count(*)::int from sluice.quarantine q where q.run_key = r.run_key) as rows from sluice.runs r where workflow_id = $1`,
      [running.workflowId],
    );
    expect(left?.rows).toBeGreaterThan(5);

    // When staging is empty, as after a crash of the server, and another worker takes over
    await query(url, `truncate sluice.chunks, ${stagingTable(left?.run_key ?? '')}`);
    await startWorker(own);
    const summary = await resultOf(running);

    // Then nothing is there twice
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: dirtyRows.length });
    await expectRows(url, 'careful_csv', good);
  });

  test('the same from JSON lines', async () => {
    await query(url, target('careful_jsonl'));
    const expected = await writeDirtyFile(
      file('careful.jsonl'),
      null,
      good.map((row) => JSON.stringify(row)),
      dirtOf((row) => JSON.stringify(row)),
    );
    const summary = await run('careful_jsonl');
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: dirtyRows.length });
    await expectRows(url, 'careful_jsonl', good);
  });
});

describe('typed sources', () => {
  pipeline(
    'typed_parquet',
    `source: parquet({ files: 'typed.parquet' }), tolerate: { quarantined: 10 }, chunk: { rows: 3_000 },
     row: z.object({ id: z.bigint().nullable(), label: z.string().max(12), amount: z.number().max(5_000) }),
     target: postgres({ table: 'typed_parquet', mode: 'upsert', key: ['id'] })`,
  );
  const bad = `values (null, 'null key', 1), (5, 'twice', 1), (99999, 'thirteen char', 1), (99998, 'amount', 5001), (99997, 'server', 100.5), (3000000000, 'too large', 1)`;
  const reasons = {
    99999: ['label', 'longer than 12'],
    99998: ['amount', 'greater than 5000'],
    99997: ['amount', 'value for domain below violates check constraint "below_check"'],
    3000000000: ['id', 'out of range for integer'],
    5: ['id', 'duplicate key in this run'],
  };

  beforeAll(async () => {
    await query(url, `create domain below as double precision check (value <> 100.5)`);
  });

  test('Parquet: the record as JSON', async () => {
    await query(url, `create table typed_parquet (id integer primary key, label text, amount below)`);
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const rows = `select i::bigint as id, 'row ' || i as label, (i % 100)::double as amount from range(10000) r(i)`;
    await connection.run(
      `copy (${rows} union all select * from (${bad}) as bad (id, label, amount)) to '${file('typed.parquet')}' (format parquet)`,
    );
    connection.closeSync();

    const summary = await run('typed_parquet');

    expect(summary).toMatchObject({ rowsLoaded: 10_000, rowsQuarantined: 6 });
    await expectTypedQuarantine(summary.runKey, { nullKey: ['id', 'null is not allowed'] });
    await expectRows(
      url,
      'typed_parquet',
      Array.from({ length: 10_000 }, (_, id) => ({ id, label: `row ${id}`, amount: id % 100 })),
    );
  });

  pipeline(
    'typed_postgres',
    `source: postgres({ query: 'select id, label, amount, note from typed_source' }), tolerate: { quarantined: 10 },
     row: z.object({ id: z.bigint().nullable(), label: z.string().max(12), amount: z.number().max(5_000), note: z.json().nullable() }),
     target: postgres({ table: 'typed_postgres', mode: 'upsert', key: ['id'] })`,
  );

  test('PostgreSQL: the record as JSON', async () => {
    await query(url, `create table typed_source (id bigint, label text, amount float8, note json)`);
    // \\u0000 is a text that json keeps and jsonb refuses.
    await query(
      url,
      `insert into typed_source select i, 'row ' || i, i % 100, '"\\u0000"'::json from generate_series(0, 9999) i union all ${bad.replaceAll(/\((.*?)\)/g, `($1, '"\\u0000"'::json)`)}`,
    );
    await query(url, `create table typed_postgres (id integer primary key, label text, amount below, note json)`);

    const summary = await run('typed_postgres');

    expect(summary).toMatchObject({ rowsLoaded: 10_000, rowsQuarantined: 6 });
    await expectTypedQuarantine(summary.runKey, { nullKey: ['id', 'null is not allowed'] });
    const good = `(select id::integer, label, amount, note from typed_source where label like 'row %') as good`;
    expect(await contentOf(url, 'typed_postgres')).toEqual(await contentOf(url, good));
  });

  async function expectTypedQuarantine(runKey: string, { nullKey }: { nullKey: string[] }): Promise<void> {
    const found = (await quarantineOf(url, runKey)).map(({ column, reason, record }) => {
      const { id } = JSON.parse(record) as { id: string | number | null };
      return [id === null ? 'null' : String(id), column, reason];
    });
    const expected = [...Object.entries(reasons).map(([id, [column, reason]]) => [id, column, reason]), ['null', ...nullKey]];
    expect(found.sort()).toEqual(expected.sort());
  }
});
