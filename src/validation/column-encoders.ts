/** One value as PostgreSQL's input text of a type, or the reason why the type would refuse it. */
import { codePoints } from './check.ts';
import { dayText, timestampText } from './date-text.ts';
import { type Decimal, readDecimal, wholeDigitsAfterRounding } from './decimal-text.ts';
import { ExactNumber, stringifyJsonExactly } from './exact-number.ts';
import { hexText } from './hex-text.ts';
import { dayExists, isPlainInstant, NO_SUCH_DATE, NOT_A_DATE } from './instants.ts';
import { numberText } from './number-text.ts';
import { shorten } from './reasons.ts';
import { readSqlType, type SqlType } from './sql-type.ts';

export interface EncodableColumn {
  readonly name: string;
  /** As `format_type` writes it (`character varying(10)`), or one of the usual short names (`varchar(10)`). */
  readonly sqlType: string;
  readonly notNull: boolean;
  readonly enumLabels?: readonly string[] | null | undefined;
  /** For json and jsonb: strings are JSON text to be passed as it is, rather than JSON strings. @default false */
  readonly jsonText?: boolean | undefined;
}

/** Why a value was refused. */
export class Refused {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Gives the text before COPY's own escapes. Never called with null or undefined. */
export type ValueEncoder = (value: unknown) => string | Refused;

/** The encoder of a column's values. */
export function valueEncoder(column: EncodableColumn): ValueEncoder {
  const type = readSqlType(column.sqlType);
  const element = scalarEncoder(type, column);
  return type.array ? arrayEncoder(element) : element;
}

function scalarEncoder({ base, modifiers }: SqlType, column: EncodableColumn): ValueEncoder {
  if (column.enumLabels) return enumEncoder(column.enumLabels);
  switch (base) {
    case 'smallint':
      return integerEncoder(base, -32768n, 32767n);
    case 'integer':
      return integerEncoder(base, -2147483648n, 2147483647n);
    case 'bigint':
      return integerEncoder(base, -(2n ** 63n), 2n ** 63n - 1n);
    case 'numeric':
      return numericEncoder(modifiers);
    case 'real':
      return floatEncoder('real', Math.fround);
    case 'double precision':
      return floatEncoder('double precision', (value) => value);
    case 'character varying':
    case 'character':
      return characterEncoder(modifiers[0]);
    case 'text':
    case 'blank padded':
      return plainText;
    case 'boolean':
      return boolean;
    case 'date':
      return instantEncoder('date');
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return instantEncoder('timestamp');
    case 'uuid':
      return uuid;
    case 'json':
    case 'jsonb':
      return jsonEncoder(base, column.jsonText === true);
    case 'bytea':
      return bytes;
    default:
      return plainText;
  }
}

const EXPECTED_INTEGER = new Refused('expected an integer');
const EXPECTED_NUMBER = new Refused('expected a number');
const EXPECTED_BOOLEAN = new Refused('expected true or false');
const EXPECTED_DATE = new Refused(NOT_A_DATE);
const NO_DATE = new Refused(NO_SUCH_DATE);
const EXPECTED_UUID = new Refused('expected a uuid');
const EXPECTED_BYTES = new Refused('expected bytes');
const EXPECTED_ARRAY = new Refused('expected an array');
const RAGGED_ARRAY = new Refused('the arrays in the array differ in length');
const NOT_JSON = new Refused('not valid JSON');
const NUL_IN_JSON = new Refused('contains a NUL byte');
const SURROGATE_IN_JSON = new Refused('contains half of a surrogate pair');
const NOT_STORABLE = new Refused('expected a value that can be stored');

/** Any value as text: for text columns, and for types that only the server knows. */
function plainText(value: unknown): string | Refused {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return numberText(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      break;
    default:
      return NOT_STORABLE;
  }
  if (value instanceof Date) return dateText(value, 'timestamp');
  if (value instanceof Uint8Array) return hexText(value);
  if (value instanceof ExactNumber) return value.text;
  return json(value);
}

function integerEncoder(name: string, lowest: bigint, highest: bigint): ValueEncoder {
  const outOfRange = new Refused(`out of range for ${name}`);
  const low = Number(lowest);
  const high = Number(highest);
  return (value) => {
    if (typeof value === 'number') {
      if (!Number.isInteger(value)) return EXPECTED_INTEGER;
      if (value < low || value > high) return outOfRange;
      return Number.isSafeInteger(value) ? numberText(value) : inRange(BigInt(value));
    }
    if (typeof value === 'bigint') return inRange(value);
    if (typeof value !== 'string') return EXPECTED_INTEGER;
    if (/^[+-]?\d{1,4}$/.test(value)) return value;
    if (/^\s*[+-]?\d+\s*$/.test(value)) {
      const found = inRange(BigInt(value.trim().replace(/^\+/, '')));
      return typeof found === 'string' ? value : found;
    }
    // Newer servers also take these; older ones refuse them.
    return /^\s*[+-]?(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*\d)\s*$/.test(value) ? value : EXPECTED_INTEGER;
  };

  function inRange(value: bigint): string | Refused {
    return value < lowest || value > highest ? outOfRange : value.toString();
  }
}

/** The largest numbers of an unconstrained numeric: https://www.postgresql.org/docs/current/datatype-numeric.html */
const NUMERIC_WHOLE_DIGITS = 131_072;
const NUMERIC_PLACES = 16_383;

function numericEncoder([precision, scale = 0]: readonly number[]): ValueEncoder {
  const outOfRange = new Refused(precision === undefined ? 'out of range for numeric' : `out of range for numeric(${precision},${scale})`);
  const limit = precision === undefined ? NUMERIC_WHOLE_DIGITS : precision - scale;
  const places = precision === undefined ? NUMERIC_PLACES : scale;
  // Rounding at a place after the point adds at most one.
  const surely = scale >= 0 ? 10 ** limit - 1 : 0;
  return (value) => {
    if (typeof value === 'number' && value < surely && value > -surely) return numberText(value);
    const text = decimalTextOf(value);
    if (text === null) return EXPECTED_NUMBER;
    const number = readDecimal(text);
    if (number) return isTooFine(number) || wholeDigitsAfterRounding(number, places) > limit ? outOfRange : text;
    if (/^\s*[+-]?nan\s*$/i.test(text)) return 'NaN';
    if (/^\s*[+-]?inf(?:inity)?\s*$/i.test(text)) return precision === undefined ? text : outOfRange;
    return isFancyNumber(text) ? text : EXPECTED_NUMBER;
  };
}

/** More digits after the point than any numeric has: the server does not round these. */
function isTooFine(number: Decimal): boolean {
  return number.digits !== '' && number.digits.length - number.exponent > NUMERIC_PLACES;
}

function floatEncoder(name: string, round: (value: number) => number): ValueEncoder {
  const outOfRange = new Refused(`out of range for ${name}`);
  return (value) => {
    if (Object.is(value, -0)) return '-0';
    if (typeof value === 'number' && (!Number.isFinite(value) || round(value) === value)) return numberText(value);
    const text = decimalTextOf(value);
    if (text === null) return EXPECTED_NUMBER;
    const number = readDecimal(text);
    if (!number) {
      return /^\s*[+-]?(?:inf(?:inity)?|nan)\s*$/i.test(text) || isHexadecimal(text) ? text : EXPECTED_NUMBER;
    }
    const rounded = round(Number(text));
    if (!Number.isFinite(rounded) || (rounded === 0 && number.digits !== '')) return outOfRange;
    return text;
  };
}

function decimalTextOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return value instanceof ExactNumber ? value.text : null;
}

function isHexadecimal(text: string): boolean {
  return /^\s*[+-]?0[xX][\da-fA-F.pP+-]+\s*$/.test(text);
}

/** Hexadecimal and underscores: the server knows whether it takes them. */
function isFancyNumber(text: string): boolean {
  return /^\s*[+-]?(?:0[xXoObB][\da-fA-F_.pP+-]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?)\s*$/.test(text);
}

/** Blanks beyond the length are cut off by the server, as SQL wants it. */
function characterEncoder(length: number | undefined): ValueEncoder {
  if (length === undefined) return plainText;
  const tooLong = new Refused(`longer than ${length}`);
  return (value) => {
    const text = plainText(value);
    if (typeof text !== 'string' || text.length <= length || codePoints(text) <= length) return text;
    return codePoints(text.replace(/ +$/, '')) <= length ? text : tooLong;
  };
}

const BOOLEAN = /^\s*(?:t|tr|tru|true|y|ye|yes|on|1|f|fa|fal|fals|false|n|no|of|off|0)\s*$/i;

function boolean(value: unknown): string | Refused {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value === 1 || value === 0) return String(value);
  return typeof value === 'string' && BOOLEAN.test(value) ? value : EXPECTED_BOOLEAN;
}

type InstantKind = 'date' | 'timestamp';

const ISO_LIKE = /^\s*(\d{4,7})-(\d\d?)-(\d\d?)(?=$|[T\s])(?:[T\s]+(\d\d?):(\d\d)(?::(\d\d)(?:\.\d*)?)?)?/i;
const SPECIAL_INSTANT = /^\s*(?:[+-]?infinity|epoch|now|today|tomorrow|yesterday)\s*$/i;
/** Hours of an offset from UTC, which has less than 16. */
const ZONE_OFFSET = /:\d\d(?:\.\d*)?\s*[+-](\d\d)(?::?\d\d){0,2}\s*(?:BC)?\s*$/i;
const LAST_YEAR: Readonly<Record<InstantKind, number>> = { date: 5_874_897, timestamp: 294_276 };

/** Texts like ISO 8601 are judged here; in other styles (`Jan 5 2001`) the server knows which order of day and month is set. */
function instantEncoder(kind: InstantKind): ValueEncoder {
  const outOfRange = new Refused(`out of range for ${kind}`);
  return (value) => {
    if (value instanceof Date) return dateText(value, kind);
    if (typeof value !== 'string') return EXPECTED_DATE;
    if (isPlainInstant(value)) return value;
    const found = ISO_LIKE.exec(value);
    if (!found) return /\d/.test(value) || SPECIAL_INSTANT.test(value) ? value : EXPECTED_DATE;
    const [, year = '', month = '', day = '', hour, minute, second] = found;
    const isBeforeChrist = /\bBC\s*$/i.test(value);
    // PostgreSQL's year 1 BC is the astronomical year 0.
    const astronomical = isBeforeChrist ? 1 - Number(year) : Number(year);
    if (Number(year) === 0 || !dayExists(astronomical, Number(month), Number(day))) return NO_DATE;
    if (hour !== undefined && !timeExists(Number(hour), Number(minute), Number(second ?? 0))) return NO_DATE;
    const offset = hour === undefined ? undefined : ZONE_OFFSET.exec(value)?.[1];
    if (offset !== undefined && Number(offset) >= 16) return NO_DATE;
    if (astronomical < -4713 || astronomical > LAST_YEAR[kind]) return outOfRange;
    return value;
  };
}

/** PostgreSQL takes 24:00:00 and a leap second 60. */
function timeExists(hour: number, minute: number, second: number): boolean {
  if (hour === 24) return minute === 0 && second === 0;
  return hour < 24 && minute < 60 && second <= 60;
}

/** A Date as UTC, from 4713 BC on. */
function dateText(value: Date, kind: InstantKind): string | Refused {
  const milliseconds = value.getTime();
  if (Number.isNaN(milliseconds)) return NO_DATE;
  if (milliseconds < FIRST_DATE) return new Refused(`out of range for ${kind}`);
  return kind === 'date' ? dayText(value) : timestampText(value);
}

const FIRST_DATE = Date.UTC(-4712, 0, 1);

const UUID = /^(?:[\da-f]{4}-?){7}[\da-f]{4}$/i;

function uuid(value: unknown): string | Refused {
  if (typeof value !== 'string') return EXPECTED_UUID;
  const bare = value.startsWith('{') && value.endsWith('}') ? value.slice(1, -1) : value;
  return UUID.test(bare) ? value : EXPECTED_UUID;
}

/** json keeps the text and takes `\u0000` and halves of surrogate pairs when they are escaped; jsonb refuses them. */
function jsonEncoder(base: 'json' | 'jsonb', isText: boolean): ValueEncoder {
  return (value) => {
    let text: string | Refused;
    if (typeof value === 'string' && isText) {
      try {
        JSON.parse(value);
      } catch {
        return NOT_JSON;
      }
      text = value;
    } else text = json(value);
    if (base === 'json' || typeof text !== 'string' || !text.includes('\\u')) return text;
    const escapes = text.replace(/\\[^u]/g, '');
    if (escapes.includes('\\u0000')) return NUL_IN_JSON;
    const halves = escapes.replace(/\\ud[89ab][\da-f]{2}\\ud[c-f][\da-f]{2}/gi, '');
    return /\\ud[89a-f][\da-f]{2}/i.test(halves) ? SURROGATE_IN_JSON : text;
  };
}

function json(value: unknown): string | Refused {
  try {
    return stringifyJsonExactly(value) ?? NOT_STORABLE;
  } catch {
    return NOT_JSON;
  }
}

function bytes(value: unknown): string | Refused {
  if (value instanceof Uint8Array) return hexText(value);
  if (typeof value !== 'string') return EXPECTED_BYTES;
  if (value.startsWith('\\x')) return /^\\x(?:\s*[\da-f]{2})*\s*$/i.test(value) ? value : EXPECTED_BYTES;
  return /^(?:[^\\]|\\\\|\\[0-3][0-7]{2})*$/s.test(value) ? value : EXPECTED_BYTES;
}

function enumEncoder(labels: readonly string[]): ValueEncoder {
  const known = new Set(labels);
  const refused = new Refused(shorten(`not one of ${labels.join(', ')}`));
  return (value) => {
    const text = typeof value === 'string' ? value : plainText(value);
    return typeof text === 'string' && !known.has(text) ? refused : text;
  };
}

/** https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO; strings are array literals already. */
function arrayEncoder(element: ValueEncoder): ValueEncoder {
  return (value) => {
    if (typeof value === 'string') return /^\s*[{[]/.test(value) ? value : EXPECTED_ARRAY;
    if (!Array.isArray(value)) return EXPECTED_ARRAY;
    const dimensions = dimensionsOf(value);
    if (!dimensions) return RAGGED_ARRAY;
    return dimensions.includes(0) ? '{}' : arrayText(value, dimensions.length, element);
  };
}

/** The lengths of a rectangular array of arrays; null where they differ. */
function dimensionsOf(values: readonly unknown[]): number[] | null {
  const first = values[0];
  if (!Array.isArray(first)) return values.some(Array.isArray) ? null : [values.length];
  const inner = dimensionsOf(first);
  if (!inner) return null;
  for (const each of values) {
    const own = Array.isArray(each) ? dimensionsOf(each) : null;
    if (!own || own.join() !== inner.join()) return null;
  }
  return [values.length, ...inner];
}

function arrayText(values: readonly unknown[], depth: number, element: ValueEncoder): string | Refused {
  const parts: string[] = [];
  for (const value of values) {
    if (depth > 1) {
      const inner = arrayText(value as readonly unknown[], depth - 1, element);
      if (typeof inner !== 'string') return inner;
      parts.push(inner);
    } else if (value === null || value === undefined) parts.push('NULL');
    else {
      const text = element(value);
      if (typeof text !== 'string') return text;
      parts.push(`"${text.replace(/["\\]/g, '\\$&')}"`);
    }
  }
  return `{${parts.join(',')}}`;
}
