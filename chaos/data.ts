/** The data that is moved, and what must arrive of it, made without Sluice. */
import { createReadStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** A public data set of real flights, and one of zip codes. */
const VEGA = 'node_modules/vega-datasets/data';
const DEPARTURES = 150_000;
const FLIGHTS = 300_000;

export interface ExpectedLoad {
  readonly pipeline: string;
  /** Its rows, in the database of the source. */
  readonly expected: string;
  /** Records that must be in quarantine, as hexadecimal bytes, sorted. */
  readonly quarantine: readonly string[];
}

/** Columns and types as the targets have them. */
const TABLES = {
  departures:
    'id bigint primary key, month text not null, delay integer not null, distance integer not null, origin text not null, destination text not null',
  expected_flights:
    'date timestamp not null, delay bigint not null, distance bigint not null, origin text not null, destination text not null',
  expected_zipcodes:
    'zip_code text primary key, latitude double precision not null, longitude double precision not null, city text not null, state text not null, county text not null',
};

/** Lines that a person who keeps such a file by hand might write. */
const MISTAKES = [
  '99999,north,-70,Nowhere,XX,Nowhere',
  '99999,40.5,-70,Nowhere,XX',
  '999999,40.5,-70,Nowhere,XX,Nowhere',
  '99999,40.5,-181,Nowhere,XX,Nowhere',
  '99999,40.5,-70,Nowhere,XXX,Nowhere',
  '99999,,-70,Nowhere,XX,Nowhere',
];
/** So often each of them. */
const TIMES = 12;

/** Fills the source database and the folder of files. */
export async function prepareData(url: string, files: string): Promise<ExpectedLoad[]> {
  await mkdir(files, { recursive: true });
  const flights = join(files, 'flights.parquet');
  const quarantine = await writeZipcodes(files);
  const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  const all = `read_parquet('${VEGA}/flights-3m.parquet', file_row_number = true)`;
  await duckdb.run(`set TimeZone = 'UTC'`);
  await duckdb.run(
    `copy (select date, delay, distance, origin, destination from ${all} where file_row_number % ${Math.floor(3_000_000 / FLIGHTS)} = 0) to '${flights}' (format parquet, row_group_size 20000)`,
  );
  await duckdb.run(
    `copy (select date::timestamp, delay, distance, origin, destination from '${flights}') to '${join(files, 'flights.csv')}' (header false)`,
  );
  await duckdb.run(
    `copy (select file_row_number + 1, '2001-0' || (1 + file_row_number % 6), delay, distance, origin, destination from ${all} limit ${DEPARTURES})
     to '${join(files, 'departures.csv')}' (header false)`,
  );
  duckdb.closeSync();

  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`set timezone = 'UTC'`);
    for (const [table, columns] of Object.entries(TABLES)) await client.query(`create table ${table} (${columns})`);
    await copyFile(client, 'departures', join(files, 'departures.csv'));
    await copyFile(client, 'expected_flights', join(files, 'flights.csv'));
    await copyFile(client, 'expected_zipcodes', join(files, 'good-zipcodes.csv'));
    await client.query(
      `create table expected_delays as select id, month, delay, distance, origin || '-' || destination as route from departures;
       analyze`,
    );
  } finally {
    await client.end();
  }
  return [
    { pipeline: 'departures', expected: 'departures', quarantine: [] },
    { pipeline: 'few_departures', expected: '(select * from departures where id <= 500)', quarantine: [] },
    { pipeline: 'departures_on_small_disk', expected: 'departures', quarantine: [] },
    { pipeline: 'delays', expected: 'expected_delays', quarantine: [] },
    { pipeline: 'flights', expected: 'expected_flights', quarantine: [] },
    { pipeline: 'zipcodes', expected: 'expected_zipcodes', quarantine },
  ];
}

async function copyFile(client: pg.Client, table: string, file: string): Promise<void> {
  await pipeline(createReadStream(file), client.query(copyFrom(`copy ${table} from stdin (format csv)`)));
}

/** The zip codes with mistakes spread through them, and those without. */
async function writeZipcodes(files: string): Promise<string[]> {
  const [header = '', ...lines] = (await readFile(join(VEGA, 'zipcodes.csv'), 'utf8')).split(/\r?\n/).filter((line) => line !== '');
  const good = lines.filter((line) => /^\d{5},[^,]+,[^,]+,[^,]+,[A-Z]{2},[^,]+$/.test(line));
  const mistakes = Array.from({ length: TIMES }, () => MISTAKES).flat();
  const every = Math.floor(good.length / (mistakes.length + 1));
  const mixed = good.flatMap((line, nth) =>
    (nth + 1) % every === 0 && mistakes[(nth + 1) / every - 1] ? [line, mistakes[(nth + 1) / every - 1]] : [line],
  );
  await writeFile(join(files, 'zipcodes.csv'), `${[header, ...mixed].join('\n')}\n`);
  await writeFile(join(files, 'good-zipcodes.csv'), `${good.join('\n')}\n`);
  return mistakes.map((line) => Buffer.from(line).toString('hex')).sort();
}
