/** US airports from a CSV file with mistakes in it: the good rows are loaded, the bad ones go to quarantine with the reason. */
import { csv, definePipeline, postgres } from 'sluice';
import { z } from 'zod';

export default definePipeline({
  name: 'airports',
  description: 'US airports from a dirty CSV file',
  source: csv({ files: 'pipelines/data/airports.csv' }),
  row: z.object({
    iata: z.string().min(3).max(4),
    name: z.string().min(1).max(80),
    city: z.string(),
    state: z.string().max(11),
    country: z.string(),
    latitude: z.number().min(-90).max(90),
    longitude: z.number().min(-180).max(180),
  }),
  target: postgres({ table: 'airports', mode: 'upsert', key: ['iata'] }),
  tolerate: { quarantined: '5%' },
});
