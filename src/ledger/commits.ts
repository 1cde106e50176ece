/** Commits and watermarks: the proof that a unit is in the target, written in the transaction that put it there. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { CursorWindow } from '../connectors/source.ts';

export interface StoredCommit {
  readonly rowsLoaded: number;
  readonly rowsChanged: number;
  /** Sum of the record hashes of the rows as staged, for `verify`; where the source cannot be asked for it later. */
  readonly digest?: string;
}

/**
 * Claims the commit of a unit: waits for a twin in flight, and gives its result where it has been done.
 */
export async function claimCommit(client: Connection, runKey: string, unit: string): Promise<StoredCommit | null> {
  const claimed = await client.query(`insert into sluice.commits (run_key, unit, result) values ($1, $2, '{}') on conflict do nothing`, [
    runKey,
    unit,
  ]);
  if (claimed.rowCount === 1) return null;
  const { rows } = await client.query<{ result: StoredCommit }>('select result from sluice.commits where run_key = $1 and unit = $2', [
    runKey,
    unit,
  ]);
  return rows[0]?.result ?? null;
}

/** Writes the result of a commit, with the counts of the unit's chunks: their own records are lost when the server crashes. */
export async function recordCommit(
  client: Connection,
  { runKey, unit }: { readonly runKey: string; readonly unit: string },
  partition: number | null,
  result: StoredCommit,
): Promise<void> {
  await client.query(
    `update sluice.commits set result = $3::jsonb || (
       select jsonb_build_object('chunks', count(*), 'rowsRead', coalesce(sum(rows_read), 0), 'rowsStaged', coalesce(sum(rows_staged), 0))
       from sluice.chunks where run_key = $1 and ($4::int is null or partition = $4)
     ) where run_key = $1 and unit = $2`,
    [runKey, unit, JSON.stringify(result), partition],
  );
}

/** What commits recorded of the rows as staged: of one unit, or all units of a run together; null where they have not. */
export async function readStagedDigest(
  database: Pick<Database, 'query'>,
  runKey: string,
  unit: string | null,
): Promise<{ readonly rows: number; readonly hashes: string } | null> {
  const [row] = await database.query<{ complete: boolean; rows: string; hashes: string }>(
    `select count(*) > 0 and count(*) = count(result ->> 'digest') as complete, coalesce(sum((result ->> 'rowsLoaded')::bigint), 0) as rows,
            coalesce(sum((result ->> 'digest')::numeric), 0)::text as hashes
     from sluice.commits where run_key = $1 and ($2::text is null or unit = $2)`,
    [runKey, unit],
  );
  return row?.complete ? { rows: Number(row.rows), hashes: row.hashes } : null;
}

/** The (cursor, key) of the last row that the pipeline has committed; null before its first run. */
export async function readWatermark(database: Pick<Database, 'query'>, pipeline: string): Promise<string[] | null> {
  const [row] = await database.query<{ value: string[] }>('select value from sluice.watermarks where pipeline = $1', [pipeline]);
  return row?.value ?? null;
}

/**
 * Moves the watermark from the one that the run was planned on to the end of its window, which must not be empty. False where another run has moved it since: nothing was changed, and
 * the caller must not commit.
 */
export async function moveWatermark(client: Connection, pipeline: string, window: CursorWindow, runKey: string): Promise<boolean> {
  const high = JSON.stringify(window.high);
  if (window.low === null) {
    const { rowCount } = await client.query(
      `insert into sluice.watermarks (pipeline, value, run_key) values ($1, $2, $3) on conflict do nothing`,
      [pipeline, high, runKey],
    );
    return rowCount === 1;
  }
  const { rowCount } = await client.query(
    `update sluice.watermarks set value = $2, run_key = $3, committed_at = now() where pipeline = $1 and value = $4::jsonb`,
    [pipeline, high, runKey, JSON.stringify(window.low)],
  );
  return rowCount === 1;
}
