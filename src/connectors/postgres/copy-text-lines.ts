/**
 * Takes the text format of COPY apart: a line a row, values separated by tabs, `\N` for null.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-TEXT
 */
import { isAscii } from 'node:buffer';

const LINE_FEED = 0x0a;

/**
 * Bytes of lines that are decoded together, which is several times as fast as one by one. Not many more: a text that is still read when the
 * young generation is collected is moved, and a large one (above 128 KiB) stays until the old generation is collected.
 */
const TEXT_BYTES = 16 * 1024;

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

export class CopyTextLines {
  /** The beginning of a line, from the pieces so far. */
  #rest: Buffer[] = [];

  /**
   * The rows that a piece completes, each taken apart when it is asked for: rows that wait would be copied by garbage collections. Pieces
   * may be cut anywhere; a line feed in a value is written as an escape.
   */
  read(piece: Buffer): Iterable<(string | null)[]> {
    const end = piece.lastIndexOf(LINE_FEED) + 1;
    if (end === 0) {
      if (piece.length > 0) this.#rest.push(piece);
      return [];
    }
    const whole = piece.subarray(0, end);
    const bytes = this.#rest.length > 0 ? Buffer.concat([...this.#rest, whole]) : whole;
    this.#rest = end < piece.length ? [piece.subarray(end)] : [];
    return rowsOf(bytes);
  }

  requireComplete(): void {
    if (this.#rest.length > 0) throw new Error('the text of the COPY ends in the middle of a line');
  }
}

/** The values of one line without its line end. */
export function splitLine(line: string): (string | null)[] {
  const values = line.split('\t');
  return line.includes('\\') ? values.map(unescaped) : values;
}

/** Bytes of whole lines. */
function* rowsOf(bytes: Buffer): Generator<(string | null)[], void, void> {
  const encoding = isAscii(bytes) ? 'latin1' : 'utf8';
  for (let from = 0; from < bytes.length; ) {
    const to = endOfLines(bytes, from);
    const text = bytes.toString(encoding, from, to);
    from = to;
    let backslash = text.indexOf('\\');
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\n', at);
      if (backslash >= 0 && backslash < at) backslash = text.indexOf('\\', at);
      const values = valuesOf(text, at, end);
      yield backslash >= 0 && backslash < end ? values.map(unescaped) : values;
      at = end + 1;
    }
  }
}

/** Where the lines end that are decoded together: a longer line is decoded alone. */
function endOfLines(bytes: Buffer, from: number): number {
  if (bytes.length - from <= TEXT_BYTES) return bytes.length;
  const end = bytes.lastIndexOf(LINE_FEED, from + TEXT_BYTES - 1) + 1;
  return end > from ? end : bytes.indexOf(LINE_FEED, from) + 1;
}

function valuesOf(text: string, start: number, end: number): string[] {
  const values: string[] = [];
  let at = start;
  for (;;) {
    const tab = text.indexOf('\t', at);
    if (tab < 0 || tab > end) break;
    values.push(text.substring(at, tab));
    at = tab + 1;
  }
  values.push(text.substring(at, end));
  return values;
}

function unescaped(value: string): string | null {
  if (value === '\\N') return null;
  return value.includes('\\') ? value.replace(/\\(.)/gs, (_, escaped: string) => ESCAPES[escaped] ?? escaped) : value;
}
