/** What a format of files says of its records; CSV and JSON lines implement it. */
import type { FileWindow } from './file-window.ts';
import type { RecordCursor } from './record-cursor.ts';

/** Why a record could not be taken apart. */
export interface RecordProblem {
  readonly column: string | null;
  readonly reason: string;
}

/** What was found at the beginning of a record; one object is used again and again. */
export class Cut {
  /**
   * - `record`: a record, good or bad
   * - `blank`: nothing, such as an empty line
   * - `more`: the window ends before the record does
   * - `overlong`: the line is longer than a record may be, and its end is not in the window
   */
  kind: 'record' | 'blank' | 'more' | 'overlong' = 'more';
  /** End of the record's bytes in the window, without the line end. */
  end = 0;
  /** Where the next record begins in the window. */
  next = 0;
  values: Readonly<Record<string, unknown>> | undefined = undefined;
  problem: RecordProblem | undefined = undefined;

  record(end: number, next: number, values: Readonly<Record<string, unknown>>): this {
    this.kind = 'record';
    this.end = end;
    this.next = next;
    this.values = values;
    this.problem = undefined;
    return this;
  }

  bad(end: number, next: number, problem: RecordProblem): this {
    this.kind = 'record';
    this.end = end;
    this.next = next;
    this.values = undefined;
    this.problem = problem;
    return this;
  }

  blank(next: number): this {
    this.kind = 'blank';
    this.next = next;
    return this;
  }

  incomplete(kind: 'more' | 'overlong'): this {
    this.kind = kind;
    return this;
  }
}

/** Cuts the records of one file. Where a record ends depends on the bytes from its beginning on, and on nothing before. */
export interface RecordCutter {
  /**
   * Cuts the record that begins at `start`, which is within the window.
   * @param whole the window reaches the end of the file
   */
  cut(window: FileWindow, start: number, whole: boolean): Cut;
}

/** What the beginning of a file says. */
export interface FileLayout {
  readonly columns: readonly string[];
  /** Byte offset of the first record. */
  readonly firstRecord: number;
  /** A cutter that gives these columns. */
  cutter(columns: readonly string[]): RecordCutter;
}

export interface RecordFormat {
  readonly maxRecordBytes: number;
  /** Where the beginning of a file does not name its columns: they are the keys of so many of its first records. */
  readonly sampledRecords?: number;
  /** Reads the beginning of a file. The window is at the start of the file. */
  layout(window: FileWindow, path: string): Promise<FileLayout>;
  /**
   * Where the first record begins at or after each of these byte offsets, exactly as cutting from the first record on finds it.
   * @param cursor at the first record of a file
   * @param offsets in ascending order
   */
  recordStarts(cursor: RecordCursor, offsets: readonly number[], signal: AbortSignal): Promise<number[]>;
}
