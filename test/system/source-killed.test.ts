/** The source crashes in the middle of a run and comes back: the run goes on where it was. */
import { contentOf } from '../helpers/checksum.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { gateAt } from '../helpers/gate.ts';
import { createLedger, logChunks } from '../helpers/ledger.ts';
import { pendingFailures, resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, ownPostgres, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { project, startWorker } from '../helpers/workers.ts';

const ROWS = 60_000;

test('PostgreSQL as the source crashes between two chunks: no chunk is copied twice, and every row arrives', async () => {
  // Given a run of twelve chunks that stands in its third
  const source = await ownPostgres({ fsync: 'off' });
  await seedFlights(source.url, 'flown', ROWS);
  const url = await freshDatabase('source');
  await createLedger(url);
  const chunks = await logChunks(url);
  const gate = await gateAt(url, 'sluice.chunks', { when: 'new.chunk = 2' });
  const flow = await project('source', url);
  await flow.write(
    'flown.ts',
    `import { definePipeline, postgres } from 'sluice';
     export default definePipeline({
       name: 'flown',
       source: postgres({ url: '${source.url}', table: 'flown' }),
       target: postgres({ table: 'flown', mode: 'upsert', key: ['id'] }),
       chunk: { rows: 5_000 },
     });`,
  );
  await startWorker(flow);
  await gate.close();
  const client = await temporalClient();
  const run = await startRun(client, flow, 'flown');
  await gate.waiting();

  // When the source crashes, the chunk in flight ends, and the next one finds nobody
  await source.stop('immediate');
  await gate.open();
  await until('the copy has failed for want of its source', async () =>
    (await pendingFailures(client, `${run.workflowId}/extract`)).some((message) =>
      /source postgres:.*(ECONNREFUSED|terminat)/.test(message),
    ),
  );
  const restarted = await source.restart('immediate');
  cleanups.push(() => restarted.stop('immediate'));

  // Then the run ends by itself, with the rows of the source, each chunk copied once
  expect(await resultOf(run)).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, rowsQuarantined: 0 });
  expect(await contentOf(url, 'flown')).toEqual(await contentOf(restarted.url, 'flown'));
  const copied = (await chunks()).map((each) => each.chunk);
  expect(copied).toEqual([...Array(12).keys()]);
});
