/**
 * How large the next chunk may be. A chunk is what a crash costs, and each has a fixed price: so it grows until it takes about as long as the
 * pipeline says, and shrinks where many rows are bad, since those wait in memory for the end of their chunk.
 */
import { TooManyRejected } from '../connectors/rejected-rows.ts';

export interface ChunkLimits {
  readonly rows: number;
  readonly bytes: number;
  /** How long a chunk should take, in milliseconds. */
  readonly ms: number;
}

/** What a chunk may have. */
export interface ChunkLimit {
  readonly maxRows: number;
  /** What its bad rows may take of the worker's memory. */
  readonly maxRejectedBytes: number;
}

/** A worker has 300 MB, and several partitions in hand. */
const REJECTED_BYTES = 8 * 1024 * 1024;
/** A first chunk, of which nothing is known. */
const FIRST_ROWS = 100_000;
const LEAST_ROWS = 1_000;
/** So many times shorter, where too many rows are bad. */
const SHRINKAGE = 8;
/** At most so many times as large as the one before. */
const GROWTH = 8;
/** Share of bad rows above which chunks do not grow. */
const MANY_BAD = 0.01;

export class ChunkSize {
  readonly #limits: ChunkLimits;
  #rows: number;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
    this.#rows = Math.min(FIRST_ROWS, limits.rows);
  }

  /** What the next chunk may have. One that cannot be any shorter is as bad as it is. */
  get limit(): ChunkLimit {
    return { maxRows: this.#rows, maxRejectedBytes: this.#rows > this.#least ? REJECTED_BYTES : Number.POSITIVE_INFINITY };
  }

  /** The chunk had more bad rows than should wait in memory. */
  shrink(): void {
    this.#rows = Math.max(Math.ceil(this.#rows / SHRINKAGE), this.#least);
  }

  /** Tells how the last chunk went. */
  learn(chunk: { readonly rows: number; readonly rejected: number; readonly ms: number }): void {
    if (chunk.rejected > chunk.rows * MANY_BAD) {
      this.#rows = Math.min(this.#rows, FIRST_ROWS);
      return;
    }
    const inTime = chunk.rows * (this.#limits.ms / Math.max(chunk.ms, 1));
    const rows = Math.floor(Math.min(inTime, this.#rows * GROWTH));
    this.#rows = Math.max(Math.min(rows, this.#limits.rows), this.#least);
  }

  get #least(): number {
    return Math.min(LEAST_ROWS, this.#limits.rows);
  }
}

/** A chunk with more bad rows than should wait in memory is copied again, and ends earlier, until they are fewer. */
export async function smallEnough<T>(size: ChunkSize, copy: (limit: ChunkLimit) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await copy(size.limit);
    } catch (error) {
      if (!(error instanceof TooManyRejected)) throw error;
      size.shrink();
    }
  }
}
