/** The example pipeline `flights`, against the same rows as finished CSV, loaded by hand. */
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ByHand } from './by-hand.ts';
import type { BenchCase } from './cases.ts';
import { execute } from './database.ts';
import { type BenchStack, ROOT } from './stack.ts';

const PARQUET = join(ROOT, 'node_modules/vega-datasets/data/flights-3m.parquet');

/** As Sluice creates it. */
const COLUMNS = 'date timestamp not null, delay bigint not null, distance bigint not null, origin text not null, destination text not null';

/** With `quick` ten days, else all seven months. */
export async function flightsCases(stack: BenchStack, byHand: ByHand, quick: boolean): Promise<BenchCase[]> {
  const to = quick ? '2001-01-11' : '2001-08-01';
  const file = join(stack.folder, 'flights.csv');
  const rows = await writeCsv(file, to);
  // What the target holds before a run that replaces it. One flight of each month differs, so that there is something to replace.
  await byHand.do({
    from: { files: [file] },
    url: stack.target,
    before: [`create unlogged table flights_before (${COLUMNS})`],
    copy: 'copy flights_before from stdin (format csv)',
    after: [],
  });
  await execute(stack.target, 'vacuum (analyze) flights_before');
  const corrected = `select date, case when row_number() over (partition by date_trunc('month', date)) = 1 then delay + 1 else delay end as delay,
    distance, origin, destination from flights_before`;

  const make = (name: string, before?: string): BenchCase => ({
    name,
    group: 'flights',
    rows,
    pipeline: 'flights',
    params: quick ? { to } : {},
    wanted: { ratio: 1.3 },
    peers: { dlt: 'does not leave out the rows that do not fit', pgloader: 'does not read Parquet' },
    ours: 'flights',
    byHand: 'flights_by_hand',
    table: { columns: COLUMNS, rows: before },
    hand: {
      from: { files: [file] },
      url: stack.target,
      before: ['drop table if exists flights_staging', 'create unlogged table flights_staging (like flights_by_hand)'],
      copy: 'copy flights_staging from stdin (format csv)',
      after: [
        'begin',
        `delete from flights_by_hand where date >= '2001-01-01' and date < '${to}'`,
        'insert into flights_by_hand select * from flights_staging',
        'commit',
        'drop table flights_staging',
      ],
    },
  });
  return [
    make('flights, Parquet, into an empty table'),
    make('flights, Parquet, replacing all months', corrected),
    make('flights, Parquet, again unchanged', 'select * from flights_before'),
  ];
}

/** The rows that pass the pipeline's row schema. */
async function writeCsv(file: string, to: string): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const good = `delay >= -120 and distance > 0 and length(origin) = 3 and length(destination) = 3 and date < timestamp '${to}'`;
    const select = `select date, delay, distance, origin, destination from read_parquet('${PARQUET}') where ${good}`;
    const done = await connection.runAndReadAll(`copy (${select}) to '${file}' (format csv, header false)`);
    return Number(done.getRows()[0]?.[0]);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
