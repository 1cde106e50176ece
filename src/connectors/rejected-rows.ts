/** The rows of a chunk that go to quarantine. They wait in the worker's memory for the end of their chunk, so that it must not be too long. */
import { TransientError } from '../errors.ts';
import type { RejectedRow } from './source.ts';

/** What a row takes besides its bytes, about. */
const OVERHEAD_BYTES = 200;

/** More rows are bad than may wait. Nothing was recorded: the chunk is to be read again, and to end earlier. */
export class TooManyRejected extends TransientError {
  constructor(rows: number, bytes: number) {
    super(
      'TooManyRejected',
      `${rows} bad rows of a chunk take more than ${bytes} bytes of memory: it has to be smaller. Nothing was recorded.`,
    );
  }
}

export class RejectedRows {
  readonly rows: RejectedRow[] = [];
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes = Number.POSITIVE_INFINITY) {
    this.#mostBytes = mostBytes;
  }

  /** @throws TooManyRejected */
  add(row: RejectedRow): void {
    this.rows.push(row);
    this.#bytes += row.record.length + OVERHEAD_BYTES;
    if (this.#bytes > this.#mostBytes) throw new TooManyRejected(this.rows.length, this.#mostBytes);
  }
}
