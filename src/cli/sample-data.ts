/** The source of the example pipeline `earthquakes`: a table in the embedded database, filled from the package vega-datasets. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { Database } from '../connectors/postgres/database.ts';

interface Feature {
  readonly id: string;
  readonly properties: {
    readonly net: string;
    readonly mag: number;
    readonly place: string;
    readonly time: number;
    readonly updated: number;
  };
}

/**
 * Makes the table `samples.earthquakes` and fills it, where vega-datasets is installed and the table is not there. May be called
 * any number of times, and by several processes at once.
 *
 * @param cwd project whose vega-datasets is used
 * @returns whether the table was made now
 */
export async function seedSamples(databaseUrl: string, cwd = process.cwd()): Promise<boolean> {
  const file = findEarthquakes(cwd);
  if (!file) return false;
  const database = new Database('source', databaseUrl, { max: 1 });
  try {
    return await database.transaction(async (client) => {
      await client.query(`select pg_advisory_xact_lock(hashtextextended('sluice samples', 0))`);
      const { rows } = await client.query<{ there: boolean }>(`select to_regclass('samples.earthquakes') is not null as there`);
      if (rows[0]?.there) return false;
      await client.query(`
        create schema if not exists samples;
        create table samples.earthquakes (
          id text primary key, net text not null, magnitude double precision, place text, time timestamptz not null, updated timestamptz not null
        );
        create index on samples.earthquakes (updated, id);
        comment on table samples.earthquakes is 'A week of earthquakes (USGS, by way of vega-datasets), for the example pipeline.'`);
      const { features } = JSON.parse(await readFile(file, 'utf8')) as { features: Feature[] };
      await client.query(
        `insert into samples.earthquakes (id, net, magnitude, place, time, updated)
         select id, net, magnitude, place, to_timestamp(time / 1000.0), to_timestamp(updated / 1000.0)
         from jsonb_to_recordset($1::jsonb) as r (id text, net text, magnitude double precision, place text, time bigint, updated bigint)`,
        [
          JSON.stringify(
            features.map(({ id, properties: { net, mag, place, time, updated } }) => ({ id, net, magnitude: mag, place, time, updated })),
          ),
        ],
      );
      return true;
    });
  } finally {
    await database.close();
  }
}

function findEarthquakes(cwd: string): string | null {
  for (const from of [join(cwd, 'package.json'), import.meta.url]) {
    try {
      return resolve(dirname(createRequire(from).resolve('vega-datasets')), '..', 'data', 'earthquakes.json');
    } catch {
      // not installed here
    }
  }
  return null;
}
