/** Whether what is committed is on another machine too. */
import type { Database } from '../connectors/postgres/database.ts';

/**
 * A small commit of one's own, for which the server waits until its synchronous standby has it: all that was committed before is there then as
 * well. A visible row proves nothing: a session that is ended while it waits for the standby has committed visibly.
 *
 * @returns false where the server has no synchronous standby at the moment (none was set up, or Patroni has fallen back to asynchronous)
 * @see https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 */
export async function acknowledge(database: Database, runKey: string): Promise<boolean> {
  const before = await hasSynchronousStandby(database);
  await database.transaction(
    async (client) => {
      // Whatever the role's own setting is.
      await client.query('set local synchronous_commit = on');
      // The first time stays: an attempt that was taken for dead and wakes up says nothing new.
      await client.query(
        `update sluice.runs set acknowledged_at = coalesce(acknowledged_at, case when $2 then clock_timestamp() end) where run_key = $1`,
        [runKey, before],
      );
    },
    { lockTimeoutMs: 0 },
  );
  // A fall-back to asynchronous lets commits go that wait.
  return before && (await hasSynchronousStandby(database));
}

async function hasSynchronousStandby(database: Database): Promise<boolean> {
  const [row] = await database.query<{ names: string }>(`select current_setting('synchronous_standby_names') as names`);
  return (row?.names ?? '') !== '';
}
