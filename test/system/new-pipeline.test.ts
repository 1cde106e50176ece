/** A pipeline is new, and not every worker has it yet. */

import { contentOf } from '../helpers/checksum.ts';
import { createLedger } from '../helpers/ledger.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

test('runs of a pipeline that only one of two workers has end right, whoever is asked first', async () => {
  // Given two workers, one of them of yesterday
  const url = await freshDatabase('new_pipeline');
  await createLedger(url);
  await query(url, 'create table numbers as select generate_series(1, 100) as n');
  const flow = await project('new-pipeline', url);
  const pipeline = (name: string) =>
    `import { definePipeline, postgres } from 'sluice';
     import { z } from 'zod';
     export default definePipeline({
       name: '${name}',
       params: z.object({ table: z.string().default('old') }),
       source: postgres({ table: 'numbers' }),
       target: ({ table }) => postgres({ table, mode: 'append' }),
     });`;
  await flow.write('yesterday.ts', pipeline('yesterday'));
  await startWorker(flow);
  await flow.write('today.ts', pipeline('today'));
  await startWorker(flow);

  // When runs of the new one are started
  const client = await temporalClient();
  const tables = Array.from({ length: 10 }, (_, at) => `today_${at}`);
  const runs = await Promise.all(tables.map((table) => startRun(client, flow, 'today', { table })));

  // Then all of them end right
  for (const run of runs) expect(await resultOf(run)).toMatchObject({ rowsLoaded: 100 });
  const contents = await Promise.all(tables.map((table) => contentOf(url, table)));
  expect(new Set(contents.map(({ checksum }) => checksum)).size).toBe(1);
});
