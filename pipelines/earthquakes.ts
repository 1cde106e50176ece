/** A week of earthquakes, PostgreSQL to PostgreSQL: one partition for each seismic network, and only what is new since the last run. */
import { definePipeline, postgres, region, sql } from 'sluice';
import { z } from 'zod';

export default definePipeline({
  name: 'earthquakes',
  description: 'earthquakes that were reported or corrected since the last run, with their strength in words',
  // `sluice dev` fills this table in its embedded database; with SLUICE_DATABASE_URL it is yours to fill.
  source: postgres({ table: 'samples.earthquakes' }),
  partitionBy: region('net'),
  row: z.object({
    id: z.string().min(1),
    net: z.string().min(2).describe('the seismic network that reported it'),
    magnitude: z.number().min(-2).max(10),
    place: z.string(),
    time: z.date(),
    updated: z.date(),
  }),
  transform: sql`
    select id, net, magnitude,
           case when magnitude < 2.5 then 'micro' when magnitude < 4 then 'minor' when magnitude < 5 then 'light'
                when magnitude < 6 then 'moderate' else 'strong' end as strength,
           regexp_replace(place, '^.* of ', '') as near, time, updated
    from staging`,
  output: z.object({
    id: z.string(),
    net: z.string(),
    magnitude: z.number(),
    strength: z.enum(['micro', 'minor', 'light', 'moderate', 'strong']),
    near: z.string(),
    time: z.date(),
    updated: z.date(),
  }),
  incremental: { cursor: 'updated' },
  target: postgres({ table: 'earthquakes', mode: 'upsert', key: ['id'] }),
});
