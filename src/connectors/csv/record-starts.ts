/** Finds where CSV records begin far into a file without cutting all that is before. */

import { NEWLINE } from '../record-files/lines.ts';
import type { RecordCursor } from '../record-files/record-cursor.ts';

/**
 * Records begin after line ends, except within quotes. So lines without a quote are not looked at one by one, and a record with quotes is
 * cut as it is when it is read.
 *
 * @param cursor at the first record
 * @param quote the byte; -1 where there are none
 * @param skip where the record at `index` ends, for plain records (the window's last line end is given); -1 for others
 * @param offsets byte offsets in ascending order
 * @returns for each the first record's beginning at or after it, as cutting from the first record on finds them
 */
export async function findRecordStarts(
  cursor: RecordCursor,
  quote: number,
  skip: (bytes: Buffer, index: number, lastLineEnd: number) => number,
  offsets: readonly number[],
  signal: AbortSignal,
): Promise<number[]> {
  const starts: number[] = [];
  let searched: Buffer | null = null;
  let nextQuote = -1;
  let lastLineEnd = -1;
  for (const offset of offsets) {
    while (cursor.offset < offset) {
      const { bytes, offset: base } = cursor.window;
      const at = cursor.index;
      if (at >= 0 && at < bytes.length) {
        if (searched !== bytes) {
          searched = bytes;
          nextQuote = -1;
          lastLineEnd = bytes.lastIndexOf(NEWLINE);
        }
        if (nextQuote < at) nextQuote = quote < 0 ? bytes.length : indexOf(bytes, quote, at);
        const wanted = Math.max(at, offset - base - 1);
        const lineEnd = wanted < nextQuote ? indexOf(bytes, NEWLINE, wanted) : bytes.length;
        if (lineEnd < nextQuote) {
          cursor.skipTo(lineEnd + 1);
          continue;
        }
        const lineBefore = bytes.lastIndexOf(NEWLINE, nextQuote);
        if (lineBefore >= at) {
          cursor.skipTo(lineBefore + 1);
          continue;
        }
        const next = nextQuote < lastLineEnd ? skip(bytes, at, lastLineEnd) : -1;
        if (next >= 0) {
          cursor.skipTo(next);
          continue;
        }
      }
      const record = cursor.next(offset);
      if (record === null) break;
      if (record === undefined) {
        signal.throwIfAborted();
        await cursor.fill();
      }
    }
    starts.push(cursor.offset);
  }
  return starts;
}

/** The window's length where the byte is not in it. */
function indexOf(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found < 0 ? bytes.length : found;
}
