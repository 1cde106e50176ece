/** Three million real US flights, from Parquet to PostgreSQL, month by month: a run replaces the months it loads. */
import { definePipeline, month, parquet, postgres } from 'sluice';
import { z } from 'zod';

export default definePipeline({
  name: 'flights',
  description: 'US flights of early 2001, replaced month by month',
  params: z.object({
    from: z.iso.date().optional().describe('first day, inclusive'),
    to: z.iso.date().optional().describe('last day, exclusive'),
  }),
  source: parquet({ files: 'node_modules/vega-datasets/data/flights-3m.parquet' }),
  partitionBy: ({ from, to }) => month('date', { from, to }),
  row: z.object({
    date: z.date(),
    // A few flights of the data left a day before they were due; those go to quarantine.
    delay: z.int().min(-120).describe('minutes; negative is early'),
    distance: z.int().positive().describe('miles'),
    origin: z.string().length(3),
    destination: z.string().length(3),
  }),
  // The data has no key, and true duplicates that must stay: what is replaced is the month.
  target: postgres({ table: 'flights', mode: 'replace', scope: 'partition' }),
  tolerate: { quarantined: '0.1%' },
});
