/** Goes through the records of one file from a byte offset on. */
import type { PlannedFile } from '../files.ts';
import type { SourceRecord } from '../source.ts';
import { FileWindow } from './file-window.ts';
import { findLineEnd } from './lines.ts';
import type { FileLayout, RecordCutter, RecordFormat, RecordProblem } from './record-format.ts';

/** A record of a file; its bytes stay in the window it was cut from. */
export class FileRecord implements SourceRecord {
  position: number;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly problem?: RecordProblem;
  /** Byte offset in the file. */
  readonly offset: number;
  readonly length: number;
  readonly #window: Buffer;
  readonly #start: number;

  constructor(
    offset: number,
    window: Buffer,
    start: number,
    end: number,
    values: Readonly<Record<string, unknown>> | undefined,
    problem: RecordProblem | undefined,
  ) {
    this.position = offset;
    this.offset = offset;
    this.#window = window;
    this.#start = start;
    this.length = end - start;
    if (values) this.values = values;
    if (problem) this.problem = problem;
  }

  /** The record as one that cannot be judged. */
  withProblem(problem: RecordProblem): FileRecord {
    const bad = new FileRecord(this.offset, this.#window, this.#start, this.#start + this.length, undefined, problem);
    bad.position = this.position;
    return bad;
  }

  bytes(): Buffer {
    return Buffer.from(this.#window.subarray(this.#start, this.#start + this.length));
  }
}

export class RecordCursor {
  readonly layout: FileLayout;
  readonly #window: FileWindow;
  readonly #cutter: RecordCutter;
  readonly #maxRecordBytes: number;
  #at = 0;
  #overlong: { readonly offset: number; readonly head: Buffer } | null = null;

  private constructor(window: FileWindow, layout: FileLayout, cutter: RecordCutter, maxRecordBytes: number) {
    this.#window = window;
    this.layout = layout;
    this.#cutter = cutter;
    this.#maxRecordBytes = maxRecordBytes;
  }

  /**
   * At the first record of the file.
   * @param columns the columns that records have; all when left out
   */
  static async open(file: PlannedFile, format: RecordFormat, columns?: readonly string[]): Promise<RecordCursor> {
    const window = await FileWindow.open(file);
    try {
      const layout = await format.layout(window, file.path);
      const cursor = new RecordCursor(window, layout, layout.cutter(columns ?? layout.columns), format.maxRecordBytes);
      cursor.seek(layout.firstRecord);
      return cursor;
    } catch (error) {
      await window.close();
      throw error;
    }
  }

  /** Byte offset at which the next record (or blank line) begins. */
  get offset(): number {
    return this.#overlong?.offset ?? this.#window.offset + this.#at;
  }

  /** The part of the file that is in memory. */
  get window(): FileWindow {
    return this.#window;
  }

  /** Where the next record begins in the window; -1 in the middle of a record that is too long for it. */
  get index(): number {
    return this.#overlong ? -1 : this.#at;
  }

  /** Goes to the beginning of a record in the window. */
  skipTo(index: number): void {
    this.#at = index;
  }

  /** Goes to the beginning of a record. */
  seek(offset: number): void {
    this.#overlong = null;
    const index = offset - this.#window.offset;
    if (index >= 0 && index <= this.#window.bytes.length) this.#at = index;
    else {
      this.#window.seek(offset);
      this.#at = 0;
    }
  }

  /**
   * The next record that begins before `to`.
   * @returns null where there is none, and undefined where {@link RecordCursor.fill} is needed first
   */
  next(to: number): FileRecord | null | undefined {
    const window = this.#window;
    for (;;) {
      if (this.#overlong) return this.#endOverlong(this.#overlong);
      const start = this.#at;
      const offset = window.offset + start;
      if (offset >= to) return null;
      const whole = window.atEnd;
      if (start >= window.bytes.length) {
        if (whole) return null;
        return undefined;
      }
      const cut = this.#cutter.cut(window, start, whole);
      switch (cut.kind) {
        case 'more':
          return undefined;
        case 'blank':
          this.#at = cut.next;
          continue;
        case 'overlong':
          this.#overlong = { offset, head: Buffer.from(window.bytes.subarray(start, start + this.#maxRecordBytes)) };
          continue;
        case 'record': {
          this.#at = cut.next;
          const end = Math.min(cut.end, start + this.#maxRecordBytes);
          return new FileRecord(offset, window.bytes, start, end, cut.values, cut.problem);
        }
      }
    }
  }

  /** Reads on in the file. */
  async fill(): Promise<void> {
    await this.#window.more(this.#at);
    this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#window.close();
  }

  /** A line too long to keep: it is read over to its end. */
  #endOverlong(overlong: { readonly offset: number; readonly head: Buffer }): FileRecord | undefined {
    const window = this.#window;
    const lineEnd = findLineEnd(window, this.#at);
    if (lineEnd < 0 && !window.atEnd) {
      this.#at = window.bytes.length;
      return undefined;
    }
    this.#at = lineEnd < 0 ? window.bytes.length : lineEnd + 1;
    this.#overlong = null;
    return new FileRecord(overlong.offset, overlong.head, 0, overlong.head.length, undefined, overlongProblem(this.#maxRecordBytes));
  }
}

/** A line that no record may be as long as. */
export function overlongProblem(maxRecordBytes: number): RecordProblem {
  return { column: null, reason: `longer than ${maxRecordBytes} bytes` };
}
