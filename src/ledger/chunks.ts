/** Chunk records: which part of a partition is in staging. Written in the transaction that put it there. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { Counts, Json } from '../contracts/run.ts';
import type { Fence } from './fence.ts';

export interface ChunkRecord {
  readonly partition: number;
  readonly chunk: number;
  readonly position: Json;
  readonly last: boolean;
  readonly rowsRead: number;
  readonly rowsStaged: number;
  readonly rowsQuarantined: number;
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

/**
 * Records a chunk; a repeat is refused by the primary key. Call it last in the chunk's transaction: the fence, held since its
 * beginning, keeps every twin out.
 */
export async function recordChunk(client: Connection, fence: Fence, chunk: ChunkRecord): Promise<void> {
  await client.query(
    `with recorded as (
       insert into sluice.chunks (run_key, partition, chunk, epoch, position, last, rows_read, rows_staged, rows_quarantined)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     )
     update sluice.fences set fruitless = 0 where run_key = $1 and unit = $10 and fruitless > 0`,
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
    ],
  );
}
