/** Next to no rows in many partitions: what is left is the orchestration. */
import { definePipeline, keyRange, postgres } from 'sluice';
import { z } from 'zod';

export default definePipeline({
  name: 'partitions',
  params: z.object({ table: z.string(), rows: z.int() }),
  source: ({ table }) => postgres({ url: process.env.SLUICE_BENCH_SOURCE_URL, table }),
  partitionBy: ({ rows }) => keyRange('id', rows),
  target: postgres({ table: 'partitions_sluice', mode: 'append', key: ['id'] }),
});
