/**
 * How large the next chunk may be. A chunk is what a crash costs, and each has a fixed price: so it grows until it takes about as long as the
 * pipeline says, and shrinks where many rows are bad, since those wait in memory for the end of their chunk.
 */
export interface ChunkLimits {
  readonly rows: number;
  readonly bytes: number;
  /** How long a chunk should take, in milliseconds. */
  readonly ms: number;
}

/** A first chunk, of which nothing is known. */
const FIRST_ROWS = 100_000;
const LEAST_ROWS = 1_000;
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

  /** Rows that the next chunk may have. */
  get rows(): number {
    return this.#rows;
  }

  /** Tells how the last chunk went. */
  learn(chunk: { readonly rows: number; readonly rejected: number; readonly ms: number }): void {
    if (chunk.rejected > chunk.rows * MANY_BAD) {
      this.#rows = Math.min(this.#rows, FIRST_ROWS);
      return;
    }
    const inTime = chunk.rows * (this.#limits.ms / Math.max(chunk.ms, 1));
    const rows = Math.floor(Math.min(inTime, this.#rows * GROWTH));
    this.#rows = Math.max(Math.min(rows, this.#limits.rows), Math.min(LEAST_ROWS, this.#limits.rows));
  }
}
