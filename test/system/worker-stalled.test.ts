/** SIGSTOP to a worker past its heartbeat timeout: another takes over at once, and the one that wakes up changes nothing. */
import { copiedPartitions } from '../helpers/observer.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { expectExactlyRight, expectTargetRight, scene, startWorkers } from '../helpers/scene.ts';
import { query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { stoppedBy } from '../helpers/workers.ts';

jest.setTimeout(240_000);

test.concurrent.each(['plan:before-commit', 'chunk:before-commit@5', 'chunk:after-commit@5', 'check:before-commit', 'load:before-commit'])(
  'a worker that stalls at %s does not stand in the way, and does no harm when it wakes up',
  async (place) => {
    const given = await scene('stalled');
    const fault = `${place}=stop`;
    const both = await startWorkers(2, given.flow, fault);
    const client = await temporalClient();

    const run = await startRun(client, given.flow, 'flights');
    const stalled = await stoppedBy(given.flow, fault, both);
    const sessions = await openTransactions(given.url);
    if (place.includes('before-commit')) expect(sessions).toBeGreaterThan(0);

    // Given that it is still stopped, when another has taken over, then the run ends.
    await expectExactlyRight(given, run);
    const copied = await copiedPartitions(given.url);
    for (const { chunks, committed } of copied) expect(committed).toBe(chunks);
    const ledger = await ledgerOf(given.url);

    // When it wakes up and is the only one, then it works again, and has changed nothing.
    const [other] = both.filter((each) => each !== stalled);
    other?.kill('SIGKILL');
    await other?.ended;
    stalled.kill('SIGCONT');
    await until('it has dropped the attempt', async () => (await openTransactions(given.url)) === 0);
    expect(await ledgerOf(given.url)).toEqual(ledger);
    expect(await copiedPartitions(given.url)).toEqual(copied);
    await expectTargetRight(given);
    const again = await resultOf(await startRun(client, given.flow, 'flights'));
    expect(again).toMatchObject({ rowsLoaded: given.rows - given.refused, unchanged: true });
  },
);

/** Sessions of workers in the middle of a transaction. */
async function openTransactions(url: string): Promise<number> {
  const [row] = await query<{ open: number }>(
    url,
    `select count(*)::int as open from pg_stat_activity
     where datname = current_database() and application_name = 'sluice' and xact_start is not null`,
  );
  return row?.open ?? 0;
}

async function ledgerOf(url: string): Promise<unknown> {
  const [row] = await query(
    url,
    `select (select jsonb_agg(r order by run_key) from sluice.runs r) as runs, (select jsonb_agg(c order by unit) from sluice.commits c) as commits,
            (select jsonb_agg(w order by pipeline) from sluice.watermarks w) as watermarks, (select count(*) from sluice.fences) as fences,
            (select count(*) from sluice.chunks) as chunks`,
  );
  return row;
}
