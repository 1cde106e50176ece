/** The state of runs: how they end, what they counted, and what ended runs leave behind. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { Counts } from '../contracts/run.ts';
import { TransientError } from '../errors.ts';
import { endingBlockers } from './fence.ts';
import { createStagingOf, forgetCopied, landInStaging } from './landing.ts';
import type { StoredRun } from './run-plan.ts';
import { besideTable, dropStaging, isThere } from './staging.ts';

/** A condition that holds where the chunks of a run go right into its target. */
function isDirect(runKey: string): string {
  return `exists (select from sluice.runs r where r.run_key = ${runKey} and r.plan ->> 'direct' is not null)`;
}

/**
 * What a SELECT reads from: records `c` of chunks that are in the target, each a commit of its own, while their partition is not whole.
 *
 * @param table a standby has only the logged part, `sluice.chunks_beside`
 */
export function chunksInPart(table = 'sluice.chunks'): string {
  return `${table} c where logged and ${isDirect('c.run_key')}
    and not exists (select from sluice.commits k where k.run_key = c.run_key and k.unit = 'load:' || c.partition)`;
}

export type RunOutcome = 'succeeded' | 'failed' | 'cancelled' | 'superseded';

/** Counts of a run: of what is committed as its commits say, of the rest as its chunks do. */
export async function sumChunks(database: Pick<Database, 'query'>, runKey: string): Promise<Counts> {
  const [row] = await database.query<{ chunks: string; read: string; staged: string }>(
    `with counted as (
       select (result ->> 'chunks')::bigint as chunks, (result ->> 'rowsRead')::bigint as read, (result ->> 'rowsStaged')::bigint as staged
       from sluice.commits where run_key = $1
       union all
       select 1, rows_read, rows_staged from sluice.chunks c where run_key = $1
         and not exists (select from sluice.commits k where k.run_key = $1 and k.unit in ('load', 'load:' || c.partition))
     )
     select coalesce(sum(chunks), 0) as chunks, coalesce(sum(read), 0) as read, coalesce(sum(staged), 0) as staged from counted`,
    [runKey],
  );
  const [bad] = await database.query<{ rows: string }>('select count(*) as rows from sluice.quarantine where run_key = $1', [runKey]);
  return {
    chunks: Number(row?.chunks ?? 0),
    rowsRead: Number(row?.read ?? 0),
    rowsStaged: Number(row?.staged ?? 0),
    rowsQuarantined: Number(bad?.rows ?? 0),
  };
}

/** Rows in the target: of what is committed, and of partitions that are not whole where each chunk is a commit of its own. */
export async function sumCommits(
  database: Pick<Database, 'query'>,
  runKey: string,
): Promise<{ rowsLoaded: number; rowsChanged: number; units: number; whole: boolean }> {
  const [row] = await database.query<{ loaded: string; changed: string; units: string; whole: boolean }>(
    `select coalesce(sum((result ->> 'rowsLoaded')::bigint), 0) as loaded, coalesce(sum((result ->> 'rowsChanged')::bigint), 0) as changed,
            count(*) as units, coalesce(bool_or(unit = 'load'), false) as whole
     from sluice.commits where run_key = $1`,
    [runKey],
  );
  const [direct] = await database.query<{ rows: string }>(
    `select coalesce(sum(rows_staged), 0) as rows from ${chunksInPart()} and c.run_key = $1`,
    [runKey],
  );
  const inPart = Number(direct?.rows ?? 0);
  return {
    rowsLoaded: Number(row?.loaded ?? 0) + inPart,
    rowsChanged: Number(row?.changed ?? 0) + inPart,
    units: Number(row?.units ?? 0),
    whole: row?.whole ?? false,
  };
}

/**
 * Writes how a run ended, with its totals. What ended well or was cancelled leaves no staging; a run that failed keeps it for
 * `sluice retry`, until `sluice clean`. May be called any number of times: the first outcome stands, except that a failed run can be
 * resumed and end again.
 *
 * @throws TransientError `CommitsMissing` where a run should end well that is not all in this ledger
 */
export async function endRun(
  database: Database,
  runKey: string,
  outcome: RunOutcome,
  reason: string | null,
  totals: unknown,
): Promise<void> {
  await database.transaction(
    async (client) => {
      await endingBlockers(database, client, () =>
        client.query(
          `update sluice.runs set status = $2, reason = $3, totals = $4, ended_at = now() where run_key = $1 and status = 'running'`,
          [runKey, outcome, reason, JSON.stringify(totals)],
        ),
      );
      if (outcome === 'succeeded') await requireCommitted(database, client, runKey);
    },
    { lockTimeoutMs: 0 },
  );
  if (outcome !== 'failed') await forgetStaging(database, runKey);
}

/** Whoever has counted the commits may have asked a server that a failover has put away since: the one that is told of the success is asked again. */
async function requireCommitted(database: Database, client: Connection, runKey: string): Promise<void> {
  const proved = await client.query(
    `select from sluice.runs r where run_key = $1 and (
       status <> 'succeeded'
       or case plan ->> 'commit'
            when 'run' then exists (select from sluice.commits k where k.run_key = r.run_key and unit = 'load')
            else (select count(*) from sluice.commits k where k.run_key = r.run_key) >= (plan ->> 'partitions')::int
          end)`,
    [runKey],
  );
  if (proved.rowCount !== 0) return;
  throw new TransientError('CommitsMissing', `The ledger of ${database.label} does not have all commits of run ${runKey} any more.`, {
    blameless: true,
  });
}

/** Totals as they were when the run ended; null where it has not. */
export async function endedTotals(database: Database, runKey: string): Promise<unknown> {
  const [row] = await database.query<{ totals: unknown }>(`select totals from sluice.runs where run_key = $1 and status <> 'running'`, [
    runKey,
  ]);
  return row?.totals ?? null;
}

/** What the last other run of a pipeline that succeeded has loaded; null where there is none. */
export async function readLastRowsLoaded(
  client: Pick<Connection, 'query'>,
  pipeline: string,
  otherThan: string,
): Promise<{ runKey: string; rowsLoaded: number } | null> {
  const { rows } = await client.query<{ run_key: string; loaded: string }>(
    `select run_key, totals ->> 'rowsLoaded' as loaded from sluice.runs
     where pipeline = $1 and run_key <> $2 and status = 'succeeded' order by planned_at desc limit 1`,
    [pipeline, otherThan],
  );
  const [row] = rows;
  return row ? { runKey: row.run_key, rowsLoaded: Number(row.loaded) } : null;
}

/**
 * A run that ended without success goes on. Units whose rows a check or the target refused are forgotten, to be extracted again: whoever
 * retries has mended the rows, or what refused them. Where the staging is gone (cancelled, or collected by `sluice clean`), all that is not
 * committed is extracted again. Sessions that hang in the middle of this, or of a write of the run, are ended.
 */
export async function resumeRun(
  database: Database,
  { runKey, plan }: StoredRun,
  options: { readonly transformed: boolean; readonly beforeCommit?: (client: Connection) => Promise<void> },
): Promise<void> {
  await database.transaction(
    async (client) => {
      const ended = await endingBlockers(database, client, () =>
        client.query(
          `update sluice.runs set status = 'running', reason = null, ended_at = null where run_key = $1 and status in ('failed', 'cancelled')`,
          [runKey],
        ),
      );
      if (ended.rowCount === 0) return;
      // Whoever writes for the run holds one of these, and may hold what is forgotten below.
      await endingBlockers(database, client, () => client.query('select from sluice.fences where run_key = $1 for update', [runKey]));
      const refused = await takeRefused(client, runKey);
      // Keys may be built already, or the table may be gone.
      const restart = plan.beside && (refused.length > 0 || !(await isThere(client, besideTable(runKey))));
      if (restart) await landInStaging(client, runKey, plan, options);
      else await createStagingOf(client, runKey, plan, options);
      if (refused.length > 0) await forgetCopied(client, runKey, refused.every((partition) => partition !== null) ? refused : null);
      await options.beforeCommit?.(client);
    },
    { lockTimeoutMs: 0 },
  );
}

/** @returns the partition of each unit, null for the whole run */
async function takeRefused(client: Connection, runKey: string): Promise<(number | null)[]> {
  const { rows } = await client.query<{ partition: number | null }>(
    `delete from sluice.transforms where run_key = $1 and not checked returning nullif(split_part(unit, ':', 2), '')::int as partition`,
    [runKey],
  );
  return rows.map(({ partition }) => partition);
}

/** Records of chunks that went right into the target stay, as long as nothing else says that their rows are there. */
const FORGET_CHUNKS = `
  delete from sluice.chunks c where run_key = $1 and (
    not ${isDirect('$1')}
    or exists (select from sluice.commits k where k.run_key = $1 and k.unit = 'load:' || c.partition))`;

/**
 * Drops the staging of a run that has ended and the records that vouch for it. Attempts that still write are ended first: the fences go with the
 * rest, so that one which wakes up later finds none.
 *
 * @returns false where the run goes on: somebody has retried it
 */
export async function forgetStaging(database: Database, runKey: string): Promise<boolean> {
  return await database.transaction(
    async (client) => {
      const ended = await endingBlockers(database, client, () =>
        client.query(`select from sluice.runs where run_key = $1 and status <> 'running' for no key update`, [runKey]),
      );
      if (ended.rowCount === 0) return false;
      await endingBlockers(database, client, () => client.query('delete from sluice.fences where run_key = $1', [runKey]));
      await client.query(FORGET_CHUNKS, [runKey]);
      await client.query('delete from sluice.transforms where run_key = $1', [runKey]);
      await endingBlockers(database, client, () => dropStaging(client, runKey));
      return true;
    },
    { lockTimeoutMs: 0 },
  );
}
