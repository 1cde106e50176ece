/** Copies the next chunk of a partition: rows, bad rows and the chunk's record in one transaction. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import { shareTarget } from '../connectors/postgres/direct-target.ts';
import { type PartitionState, recordChunk } from '../ledger/chunks.ts';
import { type Fence, holdFence } from '../ledger/fence.ts';
import { forgetQuarantineFrom, quarantineRows } from '../ledger/quarantine.ts';
import { type RowsTable, setPartition } from '../ledger/staging.ts';
import { ChunkSize, smallEnough } from './chunk-size.ts';
import { ChunkWriter, type ChunkWriterOptions, type CopiedChunk } from './chunk-writer.ts';
import { commitWhole, keepBadRows, requireFewBad, TooManyBad } from './direct-chunk.ts';
import { faultPoint } from './fault-points.ts';

export interface ChunkCopierOptions extends ChunkWriterOptions {
  readonly database: Database;
  readonly fence: Fence;
  readonly partition: number;
  readonly table: RowsTable;
}

export class ChunkCopier {
  readonly #options: ChunkCopierOptions;
  readonly #writer: ChunkWriter;
  readonly #size: ChunkSize;

  constructor(options: ChunkCopierOptions) {
    this.#options = options;
    this.#writer = new ChunkWriter(options.table, options);
    this.#size = new ChunkSize(options.pipeline.chunk);
  }

  /**
   * @returns the partition's state after the chunk
   * @throws what {@link needsCare} knows, where staging refuses a value or counts other rows: nothing was changed, copy it carefully
   */
  async copyNext(state: PartitionState): Promise<PartitionState> {
    const began = performance.now();
    const next = await smallEnough(this.#size, (limit) =>
      this.#inTransaction(state, (client) => this.#writer.write(client, state.position, limit)),
    );
    this.#size.learn({
      rows: next.rowsRead - state.rowsRead,
      rejected: next.rowsQuarantined - state.rowsQuarantined,
      ms: performance.now() - began,
    });
    return next;
  }

  /** The same chunk row by row: what staging refuses goes to quarantine with the server's reason. */
  async copyNextCarefully(state: PartitionState): Promise<PartitionState> {
    return await smallEnough(this.#size, (limit) =>
      this.#inTransaction(state, (client) => this.#writer.writeCarefully(client, state.position, limit)),
    );
  }

  async #inTransaction(state: PartitionState, copy: (client: Connection) => Promise<CopiedChunk>): Promise<PartitionState> {
    const { database, fence, partition } = this.#options;
    try {
      const next = await database.transaction((client) => this.#copyAndRecord(client, state, copy));
      await faultPoint('chunk:after-commit');
      return next;
    } catch (error) {
      if (error instanceof TooManyBad) await keepBadRows(database, fence, partition, state, error);
      throw error;
    }
  }

  async #copyAndRecord(
    client: Connection,
    state: PartitionState,
    copy: (client: Connection) => Promise<CopiedChunk>,
  ): Promise<PartitionState> {
    const { fence, partition, planned, source, pipeline, plan, table } = this.#options;
    const chunk = state.next;
    await holdFence(client, fence);
    await setPartition(client, partition);
    if (plan.direct) await shareTarget(client, plan.direct);
    await forgetQuarantineFrom(client, fence.runKey, partition, chunk);
    const done = await copy(client);
    if (plan.direct) requireFewBad(pipeline, planned.name, fence.runKey, done);
    // What was read while the source changed does not count.
    await source.verify(planned, new AbortController().signal);
    await quarantineRows(client, fence.runKey, partition, chunk, done.rejected);
    await recordChunk(client, fence, {
      partition,
      chunk,
      from: state.position,
      position: done.position,
      last: done.last,
      rowsRead: done.rowsRead,
      rowsStaged: done.staged,
      rowsQuarantined: done.rejected.length,
      logged: table.logged,
    });
    const next: PartitionState = {
      next: chunk + 1,
      position: done.position,
      whole: done.last,
      chunks: state.chunks + 1,
      rowsRead: state.rowsRead + done.rowsRead,
      rowsStaged: state.rowsStaged + done.staged,
      rowsQuarantined: state.rowsQuarantined + done.rejected.length,
    };
    if (plan.direct && next.whole) await commitWhole(client, fence.runKey, partition, next);
    await faultPoint('chunk:before-commit', client);
    return next;
  }
}
