/** Chunk records: which part of a partition is in staging. Written in the transaction that put it there. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { Counts, Json } from '../contracts/run.ts';
import { TransientError } from '../errors.ts';
import type { Fence } from './fence.ts';

export interface ChunkRecord {
  readonly partition: number;
  readonly chunk: number;
  /** Where it begins: where the one before it ended; null at the beginning. */
  readonly from: Json;
  readonly position: Json;
  readonly last: boolean;
  readonly rowsRead: number;
  readonly rowsStaged: number;
  readonly rowsQuarantined: number;
  /** Its rows are in a logged table, and so is this record: neither is lost without the other. */
  readonly logged: boolean;
}

/** How far a partition is in staging. */
export interface PartitionState extends Counts {
  /** Number of the next chunk. */
  readonly next: number;
  /** Where it starts; null at the beginning. */
  readonly position: Json;
  readonly whole: boolean;
}

export async function readPartitionState(database: Database, runKey: string, partition: number): Promise<PartitionState> {
  const [row] = await database.query<{
    chunks: number;
    next: number;
    whole: boolean;
    position: Json;
    read: string;
    staged: string;
    quarantined: string;
  }>(
    `select count(*)::int as chunks, coalesce(max(chunk) + 1, 0)::int as next, coalesce(bool_or(last), false) as whole,
            (array_agg(position order by chunk desc))[1] as position, coalesce(sum(rows_read), 0) as read,
            coalesce(sum(rows_staged), 0) as staged, coalesce(sum(rows_quarantined), 0) as quarantined
     from sluice.chunks where run_key = $1 and partition = $2`,
    [runKey, partition],
  );
  return {
    next: row?.next ?? 0,
    position: row?.position ?? null,
    whole: row?.whole ?? false,
    chunks: row?.chunks ?? 0,
    rowsRead: Number(row?.read ?? 0),
    rowsStaged: Number(row?.staged ?? 0),
    rowsQuarantined: Number(row?.quarantined ?? 0),
  };
}

/** Where the last chunk of each partition ended, of the run or of one partition. */
export async function readEnds(client: Connection, runKey: string, partition: number | null): Promise<Json[]> {
  const { rows } = await client.query<{ position: Json }>(
    'select position from sluice.chunks where run_key = $1 and ($2::int is null or partition = $2) and last and position is not null',
    [runKey, partition],
  );
  return rows.map(({ position }) => position);
}

/**
 * Records a chunk. Call it last in the chunk's transaction: the fence, held since its beginning, keeps every twin out; and whatever may have become
 * of fences, a chunk is recorded once, and only where the one before it ended.
 *
 * @throws TransientError `StagingLost` where the records are not those that this attempt goes on from, as when the server crashed since: the
 * partition goes on from what is there
 */
export async function recordChunk(client: Connection, fence: Fence, chunk: ChunkRecord): Promise<void> {
  const { rows } = await client.query<{ recorded: boolean }>(
    `with recorded as (
       insert into sluice.chunks (run_key, partition, chunk, epoch, position, last, rows_read, rows_staged, rows_quarantined, logged)
       select $1, $2::int, $3::int, $4::int, $5::jsonb, $6::bool, $7::bigint, $8::bigint, $9::bigint, $11::bool
       where $3 = 0 or exists (
         select from sluice.chunks where run_key = $1 and partition = $2 and chunk = $3 - 1 and position = $12::jsonb)
       on conflict do nothing
       returning true
     ), moved as (
       update sluice.fences set fruitless = 0 where run_key = $1 and unit = $10 and fruitless > 0
     )
     select exists (select from recorded) as recorded`,
    [
      fence.runKey,
      chunk.partition,
      chunk.chunk,
      fence.epoch,
      JSON.stringify(chunk.position),
      chunk.last,
      chunk.rowsRead,
      chunk.rowsStaged,
      chunk.rowsQuarantined,
      fence.unit,
      chunk.logged,
      JSON.stringify(chunk.from),
    ],
  );
  if (rows[0]?.recorded) return;
  throw new TransientError(
    'StagingLost',
    `The records of ${fence.unit} of run ${fence.runKey} are not those that it goes on from, as when the database has restarted and emptied staging; it goes on from what is there.`,
    {
      blameless: true,
    },
  );
}
