/** Cuts bytes into lines, each one JSON object. A bad line is one bad record; the next line begins the next. */
import { isAscii, isUtf8 } from 'node:buffer';
import { parseJsonExactly } from '../../validation/exact-number.ts';
import type { FileWindow } from '../record-files/file-window.ts';
import { findLineEnd, withoutCarriageReturn } from '../record-files/lines.ts';
import { overlongProblem } from '../record-files/record-cursor.ts';
import { Cut, type RecordCutter, type RecordProblem } from '../record-files/record-format.ts';

const INVALID_UTF8: RecordProblem = { column: null, reason: 'invalid UTF-8' };
const NUL_BYTE: RecordProblem = { column: null, reason: 'contains a NUL byte' };
const NOT_JSON: RecordProblem = { column: null, reason: 'not valid JSON' };
const NOT_AN_OBJECT: RecordProblem = { column: null, reason: 'not a JSON object' };

export class JsonlRecordCutter implements RecordCutter {
  readonly #cut = new Cut();
  readonly #maxRecordBytes: number;

  constructor(maxRecordBytes: number) {
    this.#maxRecordBytes = maxRecordBytes;
  }

  cut(window: FileWindow, start: number, whole: boolean): Cut {
    const cut = this.#cut;
    const { bytes } = window;
    const lineEnd = findLineEnd(window, start);
    if (lineEnd < 0 && !whole) return cut.incomplete(bytes.length - start > this.#maxRecordBytes ? 'overlong' : 'more');
    const last = lineEnd < 0 ? bytes.length : lineEnd;
    const next = lineEnd < 0 ? bytes.length : lineEnd + 1;
    const end = withoutCarriageReturn(bytes, start, last);
    if (last - start > this.#maxRecordBytes) return cut.bad(end, next, overlongProblem(this.#maxRecordBytes));
    if (isBlank(bytes, start, end)) return cut.blank(next);

    let { ascii } = window;
    if (!ascii) {
      const line = bytes.subarray(start, end);
      ascii = isAscii(line);
      if (!ascii && !isUtf8(line)) return cut.bad(end, next, INVALID_UTF8);
    }
    let value: unknown;
    try {
      value = parseJsonExactly(bytes.toString(ascii ? 'latin1' : 'utf8', start, end));
    } catch {
      const nul = window.hasNul ? bytes.indexOf(0, start) : -1;
      return cut.bad(end, next, nul >= 0 && nul < end ? NUL_BYTE : NOT_JSON);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return cut.bad(end, next, NOT_AN_OBJECT);
    return cut.record(end, next, value as Record<string, unknown>);
  }
}

/** Only blanks and tabs. */
function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte !== 32 && byte !== 9 && byte !== 13) return false;
  }
  return true;
}
