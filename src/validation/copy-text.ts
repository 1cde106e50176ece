/**
 * Rows as lines of PostgreSQL's COPY text format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
 *
 * What the type of the column would refuse is refused here, row by row, so that one bad value does not fail a whole chunk.
 */
import { type EncodableColumn, Refused, type ValueEncoder, valueEncoder } from './column-encoders.ts';
import { MISSING, NULL_NOT_ALLOWED } from './reasons.ts';
import { compileFunction } from './row-shape.ts';

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
  const encode = columnByColumn(encoders);
  return encoders.some((column) => column.inherited) ? encode : storableRows(encoders, encode);
}

interface ColumnEncoder {
  readonly name: string;
  readonly notNull: boolean;
  /** Not to be mistaken for what every object inherits. */
  readonly inherited: boolean;
  readonly encode: ValueEncoder;
}

function columnByColumn(columns: readonly ColumnEncoder[]): RowEncoder {
  return (row) => {
    const texts: string[] = [];
    for (const { name, inherited, notNull, encode } of columns) {
      const value = inherited && !Object.hasOwn(row, name) ? undefined : row[name];
      if (value !== null && value !== undefined) {
        const text = encode(value);
        const field = typeof text === 'string' ? fieldOf(value, text) : text;
        if (typeof field !== 'string') return { ok: false, column: name, reason: field.reason };
        texts.push(field);
      } else if (notNull) return { ok: false, column: name, reason: value === null ? NULL_NOT_ALLOWED : MISSING };
      else texts.push(NULL);
    }
    return { ok: true, line: `${texts.join('\t')}\n` };
  };
}

/**
 * A function made for these columns, which encodes the rows that can be stored and leaves all others to `encode`: each column has its own
 * place in the code, which sees one type of value.
 */
function storableRows(columns: readonly ColumnEncoder[], encode: RowEncoder): RowEncoder {
  const names: Record<string, unknown> = { encode, fieldOf };
  const steps = columns.map((column, index) => {
    names[`encode${index}`] = column.encode;
    return `let v${index} = row[${JSON.stringify(column.name)}];
if (v${index} === null || v${index} === undefined) { ${column.notNull ? 'return encode(row);' : `v${index} = ${JSON.stringify(NULL)};`} }
else {
const text = encode${index}(v${index});
if (typeof text !== 'string') return encode(row);
v${index} = fieldOf(v${index}, text);
if (typeof v${index} !== 'string') return encode(row);
}`;
  });
  const line = columns.map((_, index) => `v${index}`).join(` + '\\t' + `);
  return compileFunction(names, `return (row) => {\n${steps.join('\n')}\nreturn { ok: true, line: ${line || `''`} + '\\n' };\n};`);
}

const NULL = '\\N';

/** The text of a value with COPY's escapes. */
function fieldOf(value: unknown, text: string): string | Refused {
  if (typeof value === 'number' || value instanceof Date || !NEEDS_CARE.test(text)) return text;
  return refuseText(text) ?? text.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character);
}

const NUL_BYTE = new Refused('contains a NUL byte');
const HALF_A_PAIR = new Refused('contains half of a surrogate pair');

/** What no PostgreSQL text can hold. */
function refuseText(text: string): Refused | null {
  if (text.includes('\0')) return NUL_BYTE;
  return LONE_SURROGATE.test(text) ? HALF_A_PAIR : null;
}
