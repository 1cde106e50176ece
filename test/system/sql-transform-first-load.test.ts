/** A SQL transform of a first load: it is computed of what was extracted once, whatever becomes of the rows that it makes. */
import { contentOf } from '../helpers/checksum.ts';
import { copy, ROWS, retry, run } from '../helpers/copy-pipeline.ts';
import { stagingTables } from '../helpers/ledger.ts';
import { copiedPartitions } from '../helpers/observer.ts';
import { failureOf, resultOf } from '../helpers/runs.ts';
import { query } from '../helpers/servers.ts';
import { startWorker } from '../helpers/workers.ts';

jest.setTimeout(120_000);

describe('a SQL transform of a first load', () => {
  test('gives a key twice and a null: its rows go by way of staging, which knows which row stays', async () => {
    // Given a transform that makes three rows twice, and one without a key
    const given = await copy({
      more: `transform: sql\`select id, origin from staging union all select id, 'TWIN' from staging where id <= 3 union all select null, 'NONE'\`,
             tolerate: { quarantined: 4 },`,
    });

    // When it runs
    await startWorker(given.flow);

    // Then these are in quarantine, and all others loaded, of what was extracted once
    expect(await resultOf(await run(given))).toMatchObject({ rowsRead: ROWS, rowsLoaded: ROWS, rowsQuarantined: 4 });
    expect(await query(given.url, 'select count(distinct id)::int as keys from copy')).toEqual([{ keys: ROWS }]);
    expect(await query(given.url, 'select reason, count(*)::int as rows from sluice.quarantine group by 1 order by 1')).toEqual([
      { reason: 'duplicate key in this run', rows: 3 },
      { reason: 'null is not allowed', rows: 1 },
    ]);
    expect((await copiedPartitions(given.url)).every(({ chunks, committed }) => chunks === committed)).toBe(true);
    expect(await stagingTables(given.url)).toEqual([]);
  });

  test('cannot be computed: the run says why', async () => {
    const given = await copy({ more: `transform: sql\`select id, 1 / (id - 77) as ratio from staging\`,` });
    await startWorker(given.flow);
    expect(await failureOf(await run(given))).toMatchObject({ type: 'DataRefused', message: expect.stringContaining('division by zero') });
  });

  test.each([
    ['as they are', ''],
    ['as records', 'row: z.object({ id: z.bigint(), delay: z.int() }).refine(() => true),'],
  ])('makes rows that a check refuses, of rows that came %s: a retry extracts the corrected ones', async (_how, row) => {
    // Given a late flight, and a check that allows none
    const given = await copy({
      more: `${row} transform: sql\`select id, delay * 2 as twice from staging\`, checks: [noRows('none is late', 'select * from rows where twice > 20000')],`,
    });
    await query(given.url, 'update departures set delay = 20000 where id = 77');

    // When the run has failed, and the flight is corrected
    await startWorker(given.flow);
    const handle = await run(given);
    expect(await failureOf(handle)).toMatchObject({ type: 'CheckFailed' });
    await query(given.url, 'update departures set delay = 20 where id = 77');

    // Then a retry loads what is right
    await resultOf(await retry(given, handle));
    expect(await contentOf(given.url, 'copy')).toEqual(await contentOf(given.url, '(select id, delay * 2 as twice from departures)'));
    expect(await stagingTables(given.url)).toEqual([]);
  });
});
