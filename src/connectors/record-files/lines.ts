/** Lines of a window of bytes. */
import type { FileWindow } from './file-window.ts';
import type { RecordCursor } from './record-cursor.ts';

export const NEWLINE = 10;
export const CARRIAGE_RETURN = 13;

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Index of the line end, or -1 where the window has none from `start` on. */
export function findLineEnd(window: FileWindow, start: number): number {
  return window.bytes.indexOf(NEWLINE, start);
}

/** `end` without a carriage return before it. */
export function withoutCarriageReturn(bytes: Buffer, start: number, end: number): number {
  return end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
}

/** Where the first line begins at or after each of these byte offsets. */
export async function findLineStarts(cursor: RecordCursor, offsets: readonly number[], signal: AbortSignal): Promise<number[]> {
  const starts: number[] = [];
  for (const offset of offsets) {
    cursor.seek(Math.max(offset - 1, cursor.layout.firstRecord));
    const { window } = cursor;
    for (;;) {
      const lineEnd = window.bytes.indexOf(NEWLINE, cursor.index);
      if (lineEnd >= 0) cursor.skipTo(lineEnd + 1);
      else cursor.skipTo(window.bytes.length);
      if (lineEnd >= 0 || window.atEnd) break;
      signal.throwIfAborted();
      await cursor.fill();
    }
    starts.push(cursor.offset);
  }
  return starts;
}

/** Bytes of the mark at the beginning of a file; the window is at the start of the file. */
export async function byteOrderMarkLength(window: FileWindow): Promise<number> {
  while (window.bytes.length < BYTE_ORDER_MARK.length && !window.atEnd) await window.more(0);
  return window.bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

/** UTF-16 with its mark: no byte of it would be read right. */
export function isUtf16(window: FileWindow): boolean {
  const [first, second] = window.bytes;
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}
