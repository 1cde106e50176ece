/** Goes through the byte ranges of a chunk, file by file, and knows where the chunk ends. */
import type { ChunkEnd, ChunkRequest } from '../source.ts';
import { type ChunkPosition, type FileBounds, rangesFrom } from './bounds.ts';
import { RecordCursor } from './record-cursor.ts';
import type { RecordFormat } from './record-format.ts';

/** A range whose file is open; the cursor is at its first record. */
export interface OpenRange {
  readonly cursor: RecordCursor;
  /** The file's place in the list of the partition. */
  readonly index: number;
  /** Records that begin before this byte offset belong to the range. */
  readonly to: number;
}

type Limits = Pick<ChunkRequest, 'partition' | 'position' | 'maxRows' | 'maxBytes' | 'maxMs' | 'signal'>;

/** The clock is asked again after this many records. */
const ROWS_BETWEEN_CLOCKS = 256;

export class ChunkWalk {
  /** Records that belong to the partition, and their bytes, so far. */
  rows = 0;
  bytes = 0;
  readonly #format: RecordFormat;
  readonly #bounds: FileBounds;
  readonly #limits: Limits;
  readonly #columns: readonly string[];
  readonly #ranges: ReturnType<typeof rangesFrom>;
  readonly #startedAt = performance.now();
  #clockRows = 0;
  #isOutOfTime = false;
  #next = 0;
  #open: OpenRange | null = null;
  #end: ChunkEnd | null = null;

  /** @param columns the columns that records have */
  constructor(format: RecordFormat, bounds: FileBounds, limits: Limits, columns: readonly string[]) {
    this.#format = format;
    this.#bounds = bounds;
    this.#limits = limits;
    this.#columns = columns;
    this.#ranges = rangesFrom(bounds, limits.position);
  }

  /** The next range; null where there is none, with which the partition ends. */
  async nextRange(): Promise<OpenRange | null> {
    const range = this.#ranges[this.#next++];
    if (!range) {
      this.#end = { position: this.#positionAtEnd(), last: true };
      return null;
    }
    const [index, from, to] = range;
    const file = this.#bounds.files[index];
    if (!file) throw new Error(`the bounds of partition "${this.#limits.partition.name}" have no file ${index}`);
    let cursor = this.#open?.index === index ? this.#open.cursor : null;
    if (!cursor) {
      await this.close();
      cursor = await RecordCursor.open(file, this.#format, this.#columns);
    }
    this.#open = { cursor, index, to };
    cursor.seek(Math.max(from, cursor.layout.firstRecord));
    return this.#open;
  }

  /**
   * Counts records that were read.
   * @returns whether the chunk ends with them
   */
  count(rows: number, bytes: number): boolean {
    this.rows += rows;
    this.bytes += bytes;
    const { maxRows, maxBytes, maxMs } = this.#limits;
    if (maxMs !== undefined && this.rows - this.#clockRows >= ROWS_BETWEEN_CLOCKS) {
      this.#clockRows = this.rows;
      this.#isOutOfTime = performance.now() - this.#startedAt >= maxMs;
    }
    if (this.rows < maxRows && this.bytes < maxBytes && !this.#isOutOfTime) return false;
    const open = this.#open;
    if (!open) throw new Error('no file is open');
    const position: ChunkPosition = { file: open.index, offset: open.cursor.offset };
    this.#end = { position, last: rangesFrom(this.#bounds, position).length === 0 };
    return true;
  }

  /** The chunk has ended. */
  get isFull(): boolean {
    return this.#end !== null;
  }

  /** Reads on in the file that is open. */
  async fill(): Promise<void> {
    this.#limits.signal.throwIfAborted();
    await this.#open?.cursor.fill();
  }

  /** Where the chunk ended. */
  end(): ChunkEnd {
    if (!this.#end) throw new Error('end() is valid once the chunk was read');
    return this.#end;
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.cursor.close();
  }

  #positionAtEnd(): ChunkPosition {
    if (this.#open) return { file: this.#open.index, offset: Math.max(this.#open.to, this.#open.cursor.offset) };
    const end = this.#bounds.ranges.at(-1);
    return end ? { file: end[0], offset: end[2] } : { file: 0, offset: 0 };
  }
}
