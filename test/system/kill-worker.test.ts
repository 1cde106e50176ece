import { contentOf } from '../helpers/checksum.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { FLIGHTS, project, startWorker } from '../helpers/workers.ts';

const flights = (name: string, extra = '') => `
import { definePipeline, month, parquet, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  source: parquet({ files: '${FLIGHTS}' }),
  partitionBy: month('date'),
  row: z.object({ date: z.date(), delay: z.int().min(-120), distance: z.int(), origin: z.string(), destination: z.string() }),
  target: postgres({ table: '${name}', mode: 'replace', scope: 'partition' }),
  tolerate: { quarantined: '0.1%' },
  chunk: { rows: 50_000 },
  ${extra}
});`;

test('a worker killed in the middle of extract costs at most a chunk in each partition', async () => {
  const url = await freshDatabase('kill');
  const flow = await project('kill', url);
  await flow.write('flights.ts', flights('flights'));
  const client = await temporalClient();
  const doomed = await startWorker(flow, { faults: 'chunk:before-commit@9=kill' });
  const run = await startRun(client, flow, 'flights');
  expect(await doomed.ended).toBe('SIGKILL');
  await startWorker(flow);
  const summary = await resultOf(run);
  expect(summary).toMatchObject({ rowsRead: 3_000_000, rowsLoaded: 2_999_997, rowsQuarantined: 3, partitions: 7 });
  expect((await contentOf(url, 'flights')).rows).toBe(2_999_997);
  expect(await query(url, `select tablename from pg_tables where schemaname = 'sluice_staging'`)).toEqual([]);
});
