/**
 * Looks at the rows of a binary COPY as they pass. The bytes of good rows go on as they came; those of refused rows are cut out.
 * The format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT
 */

import { joined } from '../../validation/joined.ts';
import { NULL_NOT_ALLOWED } from '../../validation/reasons.ts';
import type { RejectedRows } from '../rejected-rows.ts';
import type { BinaryChecks } from './binary-checks.ts';
import { goodRowSkipper, type RowCount, type SkipGoodRows } from './good-rows.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** The signature, flags, and the length of an extension. */
const HEADER_BYTES = SIGNATURE.length + 8;
const TRAILER = -1;

/** Pieces are handed on when they have grown to this. */
const PIECE_BYTES = 64 * 1024;

/**
 * @param pieces the bytes, cut anywhere
 * @param position position of the first row
 * @param rejected gets the refused rows
 */
export async function* checkBinaryRows(
  pieces: AsyncIterable<Buffer>,
  checks: BinaryChecks,
  position: number,
  rejected: RejectedRows,
): AsyncGenerator<Buffer, void, void> {
  const scanner = new RowScanner(checks, position, rejected);
  let good: Buffer[] = [];
  let goodBytes = 0;
  for await (const piece of pieces) {
    goodBytes += scanner.scan(piece, good);
    if (goodBytes < PIECE_BYTES) continue;
    yield joined(good);
    good = [];
    goodBytes = 0;
  }
  scanner.requireComplete();
  if (goodBytes > 0) yield joined(good);
}

class RowScanner {
  readonly #checks: BinaryChecks;
  readonly #rejected: RejectedRows;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  readonly #skipGoodRows: SkipGoodRows;
  readonly #passed: RowCount = { rows: 0 };
  /** Position of the first row, and rows since then that were looked at one by one. */
  #position: number;
  /** What is left of the pieces so far: the beginning of a row. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** Bytes from the beginning of the rest that are needed to get further. */
  #needed = HEADER_BYTES;
  #inHeader = true;
  #complete = false;

  constructor(checks: BinaryChecks, position: number, rejected: RejectedRows) {
    this.#checks = checks;
    this.#skipGoodRows = goodRowSkipper(checks);
    this.#position = position;
    this.#rejected = rejected;
    this.#starts = new Int32Array(checks.columns.length);
    this.#ends = new Int32Array(checks.columns.length);
  }

  /**
   * Adds the good parts of a piece.
   * @returns their bytes
   */
  scan(piece: Buffer, good: Buffer[]): number {
    this.#rest.push(piece);
    this.#restBytes += piece.length;
    if (this.#restBytes < this.#needed) return 0;
    const bytes = joined(this.#rest);
    let added = 0;
    /** Beginning of the run of good rows. */
    let run = 0;
    let at = 0;
    const keep = (end: number) => {
      if (end > run) good.push(bytes.subarray(run, end));
      added += end - run;
    };

    if (this.#inHeader) {
      if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error('these are not the bytes of a binary COPY');
      at = HEADER_BYTES + bytes.readUInt32BE(SIGNATURE.length + 4);
      if (bytes.length < at) return this.#wait(bytes, 0, at, 0);
      this.#inHeader = false;
    }
    for (;;) {
      if (!this.#complete) at = this.#skipGoodRows(bytes, at, this.#passed);
      const end = this.#complete ? at : this.#endOfRow(bytes, at);
      if (end < 0) {
        keep(at);
        return this.#wait(bytes, at, -end, added);
      }
      if (end === at) {
        // The trailer, and nothing after it.
        keep(bytes.length);
        return this.#wait(bytes, bytes.length, 1, added);
      }
      const refusal = this.#judge(bytes);
      if (refusal) {
        keep(at);
        run = end;
        this.#rejected.add({ position: this.#position + this.#passed.rows, ...refusal, record: this.#record(bytes) });
      }
      this.#position++;
      at = end;
    }
  }

  requireComplete(): void {
    if (!this.#complete) throw new Error('the bytes of the COPY end in the middle');
  }

  #wait(bytes: Buffer, from: number, needed: number, added: number): number {
    this.#rest = from < bytes.length ? [bytes.subarray(from)] : [];
    this.#restBytes = bytes.length - from;
    this.#needed = needed;
    return added;
  }

  /**
   * Notes where the values of the row at `at` are.
   * @returns where it ends; `at` at the trailer; or, negative, the bytes that are needed of it to get further
   */
  #endOfRow(bytes: Buffer, at: number): number {
    const { length } = bytes;
    if (at + 2 > length) return -2;
    const count = bytes.readInt16BE(at);
    if (count === TRAILER) {
      this.#complete = true;
      return at;
    }
    if (count !== this.#starts.length) throw new Error(`a row of the COPY has ${count} values instead of ${this.#starts.length}`);
    let value = at + 2;
    for (let index = 0; index < count; index++) {
      const start = value + 4;
      if (start > length) return at - start;
      const size =
        ((bytes[value] as number) << 24) |
        ((bytes[value + 1] as number) << 16) |
        ((bytes[value + 2] as number) << 8) |
        (bytes[value + 3] as number);
      value = size < 0 ? start : start + size;
      if (value > length) return at - value;
      this.#starts[index] = start;
      // Null ends before it begins.
      this.#ends[index] = size < 0 ? -1 : value;
    }
    return value;
  }

  #judge(bytes: Buffer): { column: string; reason: string } | null {
    for (const { name, index, nullAllowed, look } of this.#checks.looks) {
      const end = this.#ends[index] as number;
      if (end < 0) {
        if (!nullAllowed) return { column: name, reason: NULL_NOT_ALLOWED };
      } else if (look) {
        const reason = look(bytes, this.#starts[index] as number, end);
        if (reason !== null) return { column: name, reason };
      }
    }
    return null;
  }

  /** The row as JSON, its values as text. */
  #record(bytes: Buffer): Buffer {
    const fields = this.#checks.columns.map(({ name, decode }, index) => {
      const end = this.#ends[index] as number;
      return `${JSON.stringify(name)}:${end < 0 ? 'null' : JSON.stringify(decode(bytes, this.#starts[index] as number, end))}`;
    });
    return Buffer.from(`{${fields.join(',')}}`);
  }
}
