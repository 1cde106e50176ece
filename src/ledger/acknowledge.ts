/** Whether what is committed is on another machine too. */
import type { Connection, Database } from '../connectors/postgres/database.ts';

/**
 * A small commit of one's own, for which the server waits until its synchronous standby has it: all that was committed before is there then as
 * well. A visible row proves nothing: a session that is ended while it waits for the standby has committed visibly.
 *
 * @returns false where the server has no synchronous standby at the moment (none was set up, or Patroni has fallen back to asynchronous)
 * @see https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 */
export async function acknowledge(database: Database, runKey: string): Promise<boolean> {
  const before = await hasSynchronousStandby(database);
  let session: Connection | null = null;
  let isAlone = false;
  // A wait for the standby that somebody ends is a commit all the same, with a warning.
  const listen = ({ code }: { readonly code?: string | undefined }) => {
    if (code === undefined || code.startsWith(WARNING)) isAlone = true;
  };
  try {
    await database.transaction(
      async (client) => {
        session = client;
        client.on('notice', listen);
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
  } finally {
    (session as Connection | null)?.off('notice', listen);
  }
  // A fall-back to asynchronous lets commits go that wait.
  return before && !isAlone && (await hasSynchronousStandby(database));
}

/** Class of SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const WARNING = '01';

/** Whether this target has had a synchronous standby at the end of any run. */
export async function wasAcknowledged(database: Database): Promise<boolean> {
  const [row] = await database.query<{ was: boolean }>('select exists (select from sluice.runs where acknowledged_at is not null) as was');
  return row?.was ?? false;
}

async function hasSynchronousStandby(database: Database): Promise<boolean> {
  const [row] = await database.query<{ names: string }>(`select current_setting('synchronous_standby_names') as names`);
  return (row?.names ?? '') !== '';
}
