/** The flights of vega-datasets as a pipeline, and what must be in the target afterwards, computed without Sluice. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { type Content, contentOf } from './checksum.ts';
import { query, temporaryFolder } from './servers.ts';
import { FLIGHTS } from './workers.ts';

/** First day, and the day after the last, of the flights that a test moves. */
export interface Span {
  readonly from: string;
  readonly to: string;
}

export interface FlightsOptions {
  readonly span: Span;
  readonly by?: 'day' | 'month';
  readonly rowsInChunk: number;
  readonly swap?: 'auto' | 'never';
  /** More of the definition. */
  readonly extra?: string;
}

/** The module of a pipeline that moves flights from Parquet into the table of its name. */
export function flights(name: string, of: FlightsOptions): string {
  const { span, by = 'day', rowsInChunk, swap = 'auto', extra = '' } = of;
  return `
import { ${by}, definePipeline, parquet, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  source: parquet({ files: '${FLIGHTS}' }),
  partitionBy: ${by}('date', { from: '${span.from}', to: '${span.to}' }),
  row: z.object({ date: z.date(), delay: z.int().min(-120), distance: z.int(), origin: z.string(), destination: z.string() }),
  target: postgres({ table: '${name}', mode: 'replace', scope: 'partition', swap: '${swap}' }),
  tolerate: { quarantined: '0.1%' },
  chunk: { rows: ${rowsInChunk} },
  ${extra}
});`;
}

/**
 * Makes the table `expected`: the flights of a span that the row schema allows, by DuckDB and COPY.
 *
 * @returns how many flights there are, and how many the schema refuses
 */
export async function expectFlights(url: string, span: Span): Promise<{ rows: number; refused: number }> {
  const csv = join(await temporaryFolder('expected'), 'flights.csv');
  const of = `from '${FLIGHTS}' where date >= '${span.from}' and date < '${span.to}'`;
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  try {
    await duckdb.run(`copy (select date, delay, distance, origin, destination ${of} and delay >= -120) to '${csv}' (header false)`);
    const counted = await duckdb.runAndReadAll(`select count(*)::int, (count(*) filter (delay < -120))::int ${of}`);
    const [rows = 0, refused = 0] = (counted.getRows()[0] ?? []).map(Number);
    await query(url, 'create table expected (date timestamp, delay bigint, distance bigint, origin text, destination text)');
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await pipeline(createReadStream(csv), client.query(copyFrom('copy expected from stdin with (format csv)')));
    } finally {
      await client.end();
    }
    return { rows, refused };
  } finally {
    duckdb.closeSync();
  }
}

const FLIGHT = `date::timestamp, delay::bigint, distance::bigint, origin, destination`;

/** Flights in a table, to be compared with {@link expectFlights}'s. */
export async function flightsIn(url: string, table: string): Promise<Content> {
  return await contentOf(url, table, FLIGHT);
}
