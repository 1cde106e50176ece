/**
 * Takes the text format of COPY apart: a line a row, values separated by tabs, `\N` for null.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-TEXT
 */
const LINE_FEED = 0x0a;

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

export class CopyTextLines {
  /** The beginning of a line, from the pieces so far. */
  #rest: Buffer[] = [];

  /** The rows that a piece completes. Pieces may be cut anywhere; a line feed in a value is written as an escape. */
  *read(piece: Buffer): Generator<(string | null)[], void, void> {
    let at = 0;
    for (;;) {
      const end = piece.indexOf(LINE_FEED, at);
      if (end < 0) break;
      if (this.#rest.length > 0) {
        const line = Buffer.concat([...this.#rest, piece.subarray(at, end)]);
        this.#rest = [];
        yield splitLine(line.toString('utf8'));
      } else {
        yield splitLine(piece.toString('utf8', at, end));
      }
      at = end + 1;
    }
    if (at < piece.length) this.#rest.push(piece.subarray(at));
  }

  requireComplete(): void {
    if (this.#rest.length > 0) throw new Error('the text of the COPY ends in the middle of a line');
  }
}

/** The values of a line without its line end. */
export function splitLine(line: string): (string | null)[] {
  const values: (string | null)[] = line.split('\t');
  if (!line.includes('\\')) return values;
  return values.map((value) => {
    if (value === null || value === '\\N') return null;
    return value.includes('\\') ? value.replace(/\\(.)/gs, (_, escaped: string) => ESCAPES[escaped] ?? escaped) : value;
  });
}
