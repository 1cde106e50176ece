/** What is moved while things break: real data, in small chunks, so that there is always something in hand. */
import { csv, definePipeline, keyRange, month, noRows, parquet, postgres, sql } from 'sluice';
import { z } from 'zod';

const url = process.env.SLUICE_CHAOS_SOURCE_URL;
const files = process.env.SLUICE_CHAOS_FILES ?? 'files';
/** The table that a run loads. */
const params = z.object({ table: z.string() });
const chunk = { rows: 2_000 };

const departure = z.object({
  id: z.int().positive(),
  month: z.string().length(7),
  delay: z.int(),
  distance: z.int().positive(),
  origin: z.string().length(3),
  destination: z.string().length(3),
});

export default [
  // PostgreSQL to PostgreSQL, bytes as they are, through staging.
  definePipeline({
    name: 'departures',
    params,
    chunk,
    source: postgres({ url, table: 'departures' }),
    partitionBy: keyRange('id', 25_000),
    row: departure,
    target: ({ table }) => postgres({ table, mode: 'upsert', key: ['id'], swap: 'never', replicated: 'wait' }),
  }),
  // A few rows, which are not to wait behind many.
  definePipeline({
    name: 'few_departures',
    params,
    source: postgres({ url, query: 'select * from departures where id <= 500', key: ['id'] }),
    row: departure,
    target: ({ table }) => postgres({ table, mode: 'upsert', key: ['id'], swap: 'never' }),
  }),
  // The same into a database of its own, on a disk that gets full.
  definePipeline({
    name: 'departures_on_small_disk',
    params,
    chunk,
    source: postgres({ url, table: 'departures' }),
    partitionBy: keyRange('id', 25_000),
    row: departure,
    target: ({ table }) => postgres({ url: process.env.SLUICE_CHAOS_SMALL_URL, table, mode: 'upsert', key: ['id'], swap: 'never' }),
  }),
  // The same with a SQL transform; built beside the target and swapped in.
  definePipeline({
    name: 'delays',
    params,
    chunk,
    source: postgres({ url, table: 'departures' }),
    partitionBy: keyRange('id', 40_000),
    row: departure,
    transform: sql`select id, month, delay, distance, origin || '-' || destination as route from staging`,
    output: z.object({ id: z.int(), month: z.string(), delay: z.int(), distance: z.int(), route: z.string() }),
    checks: [noRows('every route has two ends', `select * from rows where route !~ '^[A-Z0-9]{3}-[A-Z0-9]{3}$'`)],
    target: ({ table }) => postgres({ table, mode: 'append', key: ['id'] }),
  }),
  // Parquet, each month committed by itself.
  definePipeline({
    name: 'flights',
    params,
    chunk,
    source: parquet({ files: `${files}/flights.parquet` }),
    partitionBy: month('date'),
    row: z.object({
      date: z.date(),
      delay: z.int().min(-1_000),
      distance: z.int().positive(),
      origin: z.string().length(3),
      destination: z.string().length(3),
    }),
    commit: 'partition',
    target: ({ table }) => postgres({ table, mode: 'replace', scope: 'partition' }),
  }),
  // CSV with mistakes in it, which go to quarantine.
  definePipeline({
    name: 'zipcodes',
    params,
    chunk: { rows: 700 },
    source: csv({ files: `${files}/zipcodes.csv` }),
    row: z.object({
      zip_code: z.string().length(5),
      latitude: z.number(),
      longitude: z.number().min(-180),
      city: z.string(),
      state: z.string().length(2),
      county: z.string(),
    }),
    tolerate: { quarantined: '1%' },
    target: ({ table }) => postgres({ table, mode: 'append', key: ['zip_code'] }),
  }),
];
