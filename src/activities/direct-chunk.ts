/** What is asked of a chunk that goes right into the target, and written with it: it is a commit of its own. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import { PermanentError } from '../errors.ts';
import type { PartitionState } from '../ledger/chunks.ts';
import { claimCommit, recordCommit } from '../ledger/commits.ts';
import { type Fence, holdFence, unitName } from '../ledger/fence.ts';
import { forgetQuarantineFrom, quarantineRows } from '../ledger/quarantine.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { CopiedChunk } from './chunk-writer.ts';
import { tolerated } from './tolerance.ts';

/** More of a chunk's rows are bad than the pipeline tolerates of one. */
export class TooManyBad extends PermanentError {
  readonly chunk: CopiedChunk;

  constructor(where: string, chunk: CopiedChunk, allowed: number, runKey: string) {
    const reasons = new Map<string, number>();
    for (const { column, reason } of chunk.rejected) {
      const why = `${column ? `${column}: ` : ''}${reason}`;
      reasons.set(why, (reasons.get(why) ?? 0) + 1);
    }
    const most = [...reasons].sort(([, a], [, b]) => b - a).slice(0, 3);
    super(
      'TooManyQuarantined',
      `${where}: ${chunk.rejected.length} of ${chunk.rowsRead} rows of the next chunk are bad, ${allowed} are tolerated (${most.map(([why, rows]) => `${rows} × ${why}`).join('; ')}). ` +
        `The chunk was not committed; those before it were. They are in sluice.quarantine with run_key '${runKey}'. Correct the source, or raise "tolerate".`,
    );
    this.chunk = chunk;
  }
}

/** @throws TooManyBad */
export function requireFewBad(pipeline: BoundPipeline, partition: string, runKey: string, chunk: CopiedChunk): void {
  const allowed = tolerated(pipeline, chunk.rowsRead);
  if (chunk.rejected.length > allowed) throw new TooManyBad(`${pipeline.name}: partition ${partition}`, chunk, allowed, runKey);
}

/** Keeps the bad rows of a chunk that was not committed, for people to look at. */
export async function keepBadRows(
  database: Database,
  fence: Fence,
  partition: number,
  state: PartitionState,
  bad: TooManyBad,
): Promise<void> {
  await database.transaction(async (client) => {
    await holdFence(client, fence);
    await forgetQuarantineFrom(client, fence.runKey, partition, state.next);
    await quarantineRows(client, fence.runKey, partition, state.next, bad.chunk.rejected);
  });
}

/** With the last chunk of a partition the partition is committed. @param state after that chunk */
export async function commitWhole(client: Connection, runKey: string, partition: number, { rowsStaged }: PartitionState): Promise<void> {
  const unit = unitName('load', partition);
  await claimCommit(client, runKey, unit);
  await recordCommit(client, { runKey, unit }, partition, { rowsLoaded: rowsStaged, rowsChanged: rowsStaged });
}
