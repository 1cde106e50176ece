/** Real rows in PostgreSQL: flights of the Parquet file, with a key and the time of their last change. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { temporaryFolder } from './servers.ts';
import { FLIGHTS } from './workers.ts';

/**
 * Creates `table` with this many flights: id from 1, month (2001-01 ... 2001-06, by turns), and a change every millisecond that ended an
 * hour ago.
 */
export async function seedFlights(url: string, table: string, rows: number): Promise<void> {
  const file = join(await temporaryFolder('seed'), 'flights.csv');
  const duckdb = await (await DuckDBInstance.create()).connect();
  await duckdb.run(
    `copy (select file_row_number + 1 as id, '2001-0' || (1 + file_row_number % 6) as month, delay, distance, origin, destination
           from read_parquet('${FLIGHTS}', file_row_number = true) limit ${rows}) to '${file}' (header false)`,
  );
  duckdb.closeSync();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      `create table ${table} (id bigint primary key, month text not null, delay integer not null, distance integer not null,
                              origin text not null, destination text not null, updated timestamptz not null default now())`,
    );
    const copy = client.query(copyFrom(`copy ${table} (id, month, delay, distance, origin, destination) from stdin (format csv)`));
    await pipeline(createReadStream(file), copy);
    await client.query(`update ${table} set updated = now() - interval '1 hour' - (${rows} - id) * interval '1 millisecond'`);
    await client.query(`vacuum analyze ${table}`);
  } finally {
    await client.end();
  }
}
