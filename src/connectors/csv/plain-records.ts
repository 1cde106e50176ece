/**
 * Finds plain records in a window of a CSV file and passes them into COPY as the bytes that they are. A record is plain where it is
 * well-formed, has the right number of fields, every field may pass as it is, and COPY reads the line as `CsvRecordCutter` does. All
 * others are left to their reader: the scan stops in front of them.
 */
import { isUtf8 } from 'node:buffer';
import type { CopyPieces } from '../../validation/copy-pieces.ts';
import type { FileWindow } from '../record-files/file-window.ts';
import { CARRIAGE_RETURN, NEWLINE } from '../record-files/lines.ts';
import type { CopyDialect } from '../source.ts';
import { isAt, type Look } from './field-looks.ts';

const BACKSLASH = 0x5c;

/** Room for a position, a delimiter and a line end. */
const SPARE_BYTES = 24;

/** A field that has to be looked at. */
export interface PlainField {
  /** Its place in the file's records. */
  readonly index: number;
  readonly look: Look | null;
  readonly nullPasses: boolean;
}

/** Whether a record belongs to the partition, by the text of one field; null where its reader has to tell. */
export interface Gate {
  readonly index: number;
  readonly belongs: (value: string | null) => boolean | null;
}

export interface PlainRecordsOptions {
  readonly dialect: CopyDialect;
  /** Columns of the file. */
  readonly fields: number;
  readonly looks: readonly PlainField[];
  readonly gate: Gate | null;
  /** Fields in the order of the COPY; -1 for those that the file does not have; null: as they are in the file. */
  readonly order: readonly number[] | null;
  readonly withPosition: boolean;
  readonly maxRecordBytes: number;
  /** Lines of the COPY end with this. */
  readonly lineEnd: '\n' | '\r\n';
}

export class PlainRecords {
  /** What the last scan found: where it stopped, the records that it passed, and their bytes. */
  at = 0;
  rows = 0;
  bytes = 0;
  readonly #options: PlainRecordsOptions;
  readonly #pieces: CopyPieces;
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #escape: number;
  readonly #nullText: Buffer;
  /** Bytes that end a field without quotes, or may not be in it: 1. */
  readonly #plain = new Uint8Array(256);
  /** Bytes that end a field in quotes, or may not be in it: 1. */
  readonly #inside = new Uint8Array(256);
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** 0: not quoted, 1: quoted, 3: quoted and with escapes. */
  readonly #flags: Uint8Array;
  readonly #copiesLine: boolean;
  readonly #lineEnd: Buffer;
  /** End of the record without its line end. */
  #end = 0;
  /** The window that is known to be all UTF-8 (or not) up to its last line end. */
  #window: Buffer | null = null;
  #isUtf8 = false;
  #lastLineEnd = -1;
  #unescaped = Buffer.alloc(1024);

  constructor(options: PlainRecordsOptions, pieces: CopyPieces) {
    this.#options = options;
    this.#pieces = pieces;
    const { dialect, fields } = options;
    this.#delimiter = dialect.delimiter.charCodeAt(0);
    this.#quote = dialect.quote.charCodeAt(0);
    this.#escape = dialect.escape.charCodeAt(0);
    this.#nullText = Buffer.from(dialect.nullText);
    for (const byte of [this.#delimiter, this.#quote, NEWLINE, CARRIAGE_RETURN, 0]) this.#plain[byte] = 1;
    for (const byte of [this.#quote, this.#escape, 0]) this.#inside[byte] = 1;
    this.#starts = new Int32Array(fields);
    this.#ends = new Int32Array(fields);
    this.#flags = new Uint8Array(fields);
    this.#copiesLine = options.withPosition || options.order !== null;
    this.#lineEnd = Buffer.from(options.lineEnd);
  }

  /**
   * Passes plain records from `from` on that begin before `limit`, at most so many.
   * @param position of the first byte of the window
   */
  scan(window: FileWindow, from: number, limit: number, position: number, maxRows: number, maxBytes: number): void {
    const { bytes } = window;
    if (bytes !== this.#window) this.#enter(window, from);
    const last = this.#lastLineEnd;
    const { looks, gate, fields, maxRecordBytes } = this.#options;
    const skipsBlank = fields > 1;
    const copiesLine = this.#copiesLine;
    const lineEndBytes = this.#lineEnd.length;
    let at = from;
    let run = from;
    let rows = 0;
    let used = 0;
    while (at < limit && at <= last && rows < maxRows && used < maxBytes) {
      const first = bytes[at] as number;
      if (skipsBlank && (first === NEWLINE || (first === CARRIAGE_RETURN && bytes[at + 1] === NEWLINE))) {
        if (!copiesLine) this.#pieces.pass(bytes, run, at);
        at += first === NEWLINE ? 1 : 2;
        run = at;
        continue;
      }
      // `\.` alone on a line ends the data for servers before 18.
      if (first === BACKSLASH) break;
      const next = this.#fieldsAt(bytes, at, last);
      if (next < 0 || next - at > maxRecordBytes) break;
      if (!this.#isUtf8 && !isUtf8(bytes.subarray(at, next))) break;
      if (gate) {
        const belongs = this.#judgeGate(bytes, gate);
        if (belongs === null) break;
        if (!belongs) {
          if (!copiesLine) this.#pieces.pass(bytes, run, at);
          at = next;
          run = at;
          continue;
        }
      }
      if (looks.length > 0 && !this.#looksGood(bytes, looks)) break;
      if (copiesLine) {
        if (!this.#copyLine(bytes, at, position + at)) break;
      } else if (next - this.#end !== lineEndBytes) {
        // COPY wants all lines to end alike.
        this.#pieces.pass(bytes, run, this.#end);
        this.#pieces.pass(this.#lineEnd, 0, lineEndBytes);
        run = next;
      }
      rows++;
      used += next - at;
      at = next;
    }
    if (!copiesLine) this.#pieces.pass(bytes, run, at);
    this.at = at;
    this.rows = rows;
    this.bytes = used;
  }

  /**
   * Goes over a record without a look at its values.
   * @param last the last line end of the window
   * @returns where the next one begins; -1 where the record is not well-formed, or not whole
   */
  skip(bytes: Buffer, start: number, last: number): number {
    const next = this.#fieldsAt(bytes, start, last);
    return next - start > this.#options.maxRecordBytes ? -1 : next;
  }

  #enter(window: FileWindow, from: number): void {
    const { bytes } = window;
    this.#window = bytes;
    this.#lastLineEnd = bytes.lastIndexOf(NEWLINE);
    // Characters do not go across line ends.
    this.#isUtf8 = window.ascii || isUtf8(bytes.subarray(from, this.#lastLineEnd + 1));
  }

  /**
   * Notes the fields of the record at `start`, which ends with a line end at `last` or before it.
   * @returns where the next record begins; -1 where this one is not plain
   */
  #fieldsAt(bytes: Buffer, start: number, last: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    const flags = this.#flags;
    const plain = this.#plain;
    const quote = this.#quote;
    const delimiter = this.#delimiter;
    const count = starts.length;
    let at = start;
    let byte: number;
    for (let field = 0; field < count; field++) {
      if (bytes[at] === quote) {
        const close = this.#closingQuote(bytes, at + 1, last, field);
        if (close < 0) return -1;
        starts[field] = at + 1;
        ends[field] = close;
        at = close + 1;
        byte = bytes[at] as number;
      } else {
        starts[field] = at;
        byte = bytes[at] as number;
        while (plain[byte] === 0) byte = bytes[++at] as number;
        ends[field] = at;
        flags[field] = 0;
      }
      if (byte === delimiter) {
        at++;
        continue;
      }
      if (field !== count - 1) return -1;
      this.#end = at;
      if (byte === NEWLINE) return at + 1;
      return byte === CARRIAGE_RETURN && bytes[at + 1] === NEWLINE ? at + 2 : -1;
    }
    return -1;
  }

  #closingQuote(bytes: Buffer, from: number, last: number, field: number): number {
    const inside = this.#inside;
    const quote = this.#quote;
    const escapedBy = this.#escape;
    let at = from;
    let flag = 1;
    for (;;) {
      while (at < last && inside[bytes[at] as number] === 0) at++;
      if (at >= last) return -1;
      const byte = bytes[at];
      const following = bytes[at + 1];
      if (byte === 0) return -1;
      if (byte === escapedBy && (following === quote || following === escapedBy)) {
        flag = 3;
        at += 2;
      } else if (byte === quote) {
        this.#flags[field] = flag;
        return at;
      } else at++;
    }
  }

  #looksGood(bytes: Buffer, looks: readonly PlainField[]): boolean {
    for (let nth = 0; nth < looks.length; nth++) {
      const { index, look, nullPasses } = looks[nth] as PlainField;
      const start = this.#starts[index] as number;
      const end = this.#ends[index] as number;
      const flag = this.#flags[index] as number;
      if (flag === 0 && this.#isNull(bytes, start, end)) {
        if (!nullPasses) return false;
      } else if (look === null) continue;
      else if (flag === 3) {
        if (!look(this.#unescaped, 0, this.#unescape(bytes, start, end))) return false;
      } else if (!look(bytes, start, end)) return false;
    }
    return true;
  }

  /** @returns the length of the text in `#unescaped` */
  #unescape(bytes: Buffer, start: number, end: number): number {
    if (this.#unescaped.length < end - start) this.#unescaped = Buffer.alloc(2 * (end - start));
    const text = this.#unescaped;
    let length = 0;
    for (let at = start; at < end; at++) {
      if (bytes[at] === this.#escape && (bytes[at + 1] === this.#quote || bytes[at + 1] === this.#escape)) at++;
      text[length++] = bytes[at] as number;
    }
    return length;
  }

  #isNull(bytes: Buffer, start: number, end: number): boolean {
    return this.#nullText.length === 0 ? start === end : isAt(this.#nullText, bytes, start, end);
  }

  #judgeGate(bytes: Buffer, { index, belongs }: Gate): boolean | null {
    const start = this.#starts[index] as number;
    const end = this.#ends[index] as number;
    const flag = this.#flags[index] as number;
    if (flag === 3) return null;
    return belongs(flag === 0 && this.#isNull(bytes, start, end) ? null : bytes.toString('utf8', start, end));
  }

  /** @returns false where the line would begin with what ends the data */
  #copyLine(bytes: Buffer, start: number, position: number): boolean {
    const { order, withPosition } = this.#options;
    const pieces = this.#pieces;
    if (order === null) {
      const end = this.#end;
      pieces.makeRoom(end - start + SPARE_BYTES);
      pieces.writePosition(position, this.#delimiter);
      pieces.copy(bytes, start, end);
    } else {
      pieces.makeRoom(this.#end - start + order.length * (this.#nullText.length + 1) + SPARE_BYTES);
      const from = pieces.at;
      if (withPosition) pieces.writePosition(position, this.#delimiter);
      for (let nth = 0; nth < order.length; nth++) {
        if (nth > 0) pieces.writeByte(this.#delimiter);
        const index = order[nth] as number;
        const quoted = index < 0 ? 0 : (this.#flags[index] as number) & 1;
        if (index < 0) pieces.copy(this.#nullText, 0, this.#nullText.length);
        else pieces.copy(bytes, (this.#starts[index] as number) - quoted, (this.#ends[index] as number) + quoted);
      }
      if (pieces.at > from && pieces.buffer[from] === BACKSLASH) {
        pieces.at = from;
        return false;
      }
    }
    pieces.copy(this.#lineEnd, 0, this.#lineEnd.length);
    return true;
  }
}
