/** Rows that failed the row schema or a check, kept with the reason and their bytes as received. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { RejectedRow } from '../connectors/source.ts';
import type { QuarantineReason } from '../contracts/run.ts';

/** Chunk number of rows that were found in staging and belong to no chunk. */
export const FOUND_IN_STAGING = -1;

const ROWS_A_STATEMENT = 1_000;

/** Forgets what later chunks left here before a crash emptied staging: their bounds may be cut differently this time. */
export async function forgetQuarantineFrom(client: Connection, runKey: string, partition: number, chunk: number): Promise<void> {
  await client.query('delete from sluice.quarantine where run_key = $1 and partition = $2 and chunk >= $3', [runKey, partition, chunk]);
}

/** Writes the rejected rows of a chunk, in the transaction that records it. */
export async function quarantineRows(
  client: Connection,
  runKey: string,
  partition: number,
  chunk: number,
  rows: readonly RejectedRow[],
  firstOrdinal = 0,
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT) {
    const piece = rows.slice(at, at + ROWS_A_STATEMENT);
    await client.query(
      `insert into sluice.quarantine (run_key, partition, chunk, ordinal, position, "column", reason, record)
       select $1, $2, $3, $4 + ordinality - 1, position, "column", reason, record
       from unnest($5::bigint[], $6::text[], $7::text[], $8::bytea[]) with ordinality as r (position, "column", reason, record, ordinality)`,
      [
        runKey,
        partition,
        chunk,
        firstOrdinal + at,
        piece.map((row) => row.position),
        piece.map((row) => row.column),
        piece.map((row) => row.reason),
        piece.map((row) => row.record),
      ],
    );
  }
}

/** Why rows of a run (or of one partition) are in quarantine, most frequent first. */
export async function quarantineReasons(
  database: Pick<Database, 'query'>,
  runKey: string,
  partition: number | null,
  limit = 10,
): Promise<QuarantineReason[]> {
  const rows = await database.query<{ column: string | null; reason: string; rows: string }>(
    `select "column", reason, count(*) as rows from sluice.quarantine
     where run_key = $1 and ($2::int is null or partition = $2) group by 1, 2 order by 3 desc, 1, 2 limit $3`,
    [runKey, partition, limit],
  );
  return rows.map((row) => ({ column: row.column, reason: row.reason, rows: Number(row.rows) }));
}

/** Where the rows in quarantine are in their partition: those of this chunk and of later ones. */
export async function quarantinedPositions(
  database: Pick<Database, 'query'>,
  runKey: string,
  partition: number,
  firstChunk: number,
): Promise<Set<number>> {
  const rows = await database.query<{ position: string }>(
    'select position from sluice.quarantine where run_key = $1 and partition = $2 and chunk >= $3 and position is not null',
    [runKey, partition, firstChunk],
  );
  return new Set(rows.map(({ position }) => Number(position)));
}

/** Forgets what was found in staging before, when it is looked through again. */
export async function forgetQuarantineFoundInStaging(client: Connection, runKey: string, partition: number | null): Promise<void> {
  await client.query('delete from sluice.quarantine where run_key = $1 and ($2::int is null or partition = $2) and chunk = $3', [
    runKey,
    partition,
    FOUND_IN_STAGING,
  ]);
}
