/**
 * Rows as lines of PostgreSQL's COPY text format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
 *
 * What the type of the column would refuse is refused here, row by row, so that one bad value does not fail a whole chunk.
 */
import { type EncodableColumn, valueEncoder } from './column-encoders.ts';
import { MISSING, NULL_NOT_ALLOWED } from './reasons.ts';

export type { EncodableColumn } from './column-encoders.ts';

export type EncodedRow =
  | { readonly ok: true /** With the line end. */; readonly line: string }
  | { readonly ok: false; readonly column: string; readonly reason: string };

export type RowEncoder = (row: Readonly<Record<string, unknown>>) => EncodedRow;

const NEEDS_CARE = /[\0\\\n\r\t\ud800-\udfff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * An encoder of rows for `COPY ... FROM STDIN` in text format, UTF-8, for columns in this order.
 *
 * Values may be strings (in the syntax of the column's type), numbers, bigints, booleans, Dates, Buffers, arrays and plain
 * objects; null and undefined are NULL. Strings for types that it does not know (domains, ranges, composites) pass as they are.
 * What PostgreSQL would take but only the server can judge (`'Jan 5 2001'`, `'now'`, `0x1F`) passes as well.
 *
 * @example
 * const encode = createRowEncoder([{ name: 'id', sqlType: 'integer', notNull: true }]);
 * encode({ id: 7 }); // { ok: true, line: '7\n' }
 * encode({ id: '2147483648' }); // { ok: false, column: 'id', reason: 'out of range for integer' }
 */
export function createRowEncoder(columns: readonly EncodableColumn[]): RowEncoder {
  const encoders = columns.map((column) => ({
    name: column.name,
    notNull: column.notNull,
    inherited: column.name in Object.prototype,
    encode: valueEncoder(column),
  }));
  return (row) => {
    let line = '';
    let first = true;
    for (const column of encoders) {
      const value = column.inherited && !Object.hasOwn(row, column.name) ? undefined : row[column.name];
      if (first) first = false;
      else line += '\t';
      if (value === null || value === undefined) {
        if (column.notNull) return { ok: false, column: column.name, reason: value === null ? NULL_NOT_ALLOWED : MISSING };
        line += '\\N';
        continue;
      }
      const text = column.encode(value);
      if (typeof text !== 'string') return { ok: false, column: column.name, reason: text.reason };
      if (!NEEDS_CARE.test(text)) {
        line += text;
        continue;
      }
      const refused = refuseText(text);
      if (refused) return { ok: false, column: column.name, reason: refused };
      line += text.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character);
    }
    return { ok: true, line: `${line}\n` };
  };
}

/** What no PostgreSQL text can hold. */
function refuseText(text: string): string | null {
  if (text.includes('\0')) return 'contains a NUL byte';
  return LONE_SURROGATE.test(text) ? 'contains half of a surrogate pair' : null;
}
