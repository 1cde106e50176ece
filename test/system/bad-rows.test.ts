/** Bad rows: each in quarantine with a reason, its column and its bytes as received; all the good ones are loaded. */
import { contentOf } from '../helpers/checksum.ts';
import { declaredPipelines } from '../helpers/declared-pipelines.ts';
import { bytes, dirt, expectRows, quarantineOf, realRows, writeDirtyFile, zipcode } from '../helpers/dirty-file.ts';
import { failureOf } from '../helpers/runs.ts';
import { query } from '../helpers/servers.ts';

let url: string;
const { pipeline, begin, file, start, run } = declaredPipelines('bad-rows');

beforeAll(async () => {
  url = await begin();
});

describe('CSV', () => {
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
    await expectRows(url, 'zipcodes', good.map(zipcode));
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
    const failure = await failureOf(await start('strikes'));
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
