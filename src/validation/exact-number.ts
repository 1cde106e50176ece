import { hexText } from './hex-text.ts';

/**
 * A JSON number that a JavaScript number would change (too many digits, too large an exponent), kept as it was written.
 *
 * Integers beyond 2^53 are given as bigint instead; this is for what has a fraction or an exponent.
 */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

// Not to be guessed by a document, which could otherwise pass a text for a number.
const MARK = `sluice:${globalThis.crypto.randomUUID()}:`;

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Texts without this have no number that JSON.parse changes: at most 15 digits are always exact. (In strings it means nothing.) */
const MAY_BE_CHANGED = /(?:^|[:,[\s])-?(?:[\d.]{16}|[\d.]+[eE])/;

/**
 * `JSON.parse` that loses no digits: an integer beyond 2^53 becomes a bigint, another number that a double cannot hold an
 * {@link ExactNumber}.
 *
 * @throws SyntaxError as JSON.parse does
 */
export function parseJsonExactly(text: string): unknown {
  const parsed: unknown = JSON.parse(text);
  if (!MAY_BE_CHANGED.test(text)) return parsed;
  let changed = false;
  const marked = text.replace(TOKEN, (token) => {
    if (token.charCodeAt(0) === 34 || isExact(token)) return token;
    changed = true;
    return `"${MARK}${token}"`;
  });
  if (!changed) return parsed;
  return JSON.parse(marked, (_key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(MARK)) return value;
    const token = value.slice(MARK.length);
    return /^-?\d+$/.test(token) ? BigInt(token) : new ExactNumber(token);
  });
}

/**
 * `JSON.stringify` that loses nothing: digits are as they are, where it would refuse a bigint or change an exact number. What JSON has no
 * value for is text as PostgreSQL's `to_jsonb` writes it: bytes are `\x00ff`, numbers that are not finite `NaN` and `Infinity`.
 */
export function stringifyJsonExactly(value: unknown): string | undefined {
  let exact = false;
  const text = JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, each: unknown) {
    // Of a Buffer, `each` is what its toJSON made.
    const given = this[key];
    if (given instanceof Uint8Array) return hexText(given);
    if (typeof each === 'number' && !Number.isFinite(each)) return String(each);
    if (typeof each === 'bigint') {
      exact = true;
      return MARK + each.toString();
    }
    if (each instanceof ExactNumber) {
      exact = true;
      return MARK + each.text;
    }
    return each;
  });
  if (!exact) return text;
  return text.replace(new RegExp(`"${MARK}([^"]*)"`, 'g'), '$1');
}

/** The value with every {@link ExactNumber} in it rounded to a double, as plain JSON.parse would have given it. */
export function roundExactNumbers(value: unknown): unknown {
  if (value instanceof ExactNumber) return Number(value.text);
  if (Array.isArray(value)) return value.some(hasExact) ? value.map(roundExactNumbers) : value;
  if (!hasExact(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(value as object)) {
    Object.defineProperty(copy, key, { value: roundExactNumbers(each), enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

function hasExact(value: unknown): boolean {
  if (value instanceof ExactNumber) return true;
  if (Array.isArray(value)) return value.some(hasExact);
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value).some(hasExact);
}

function isExact(token: string): boolean {
  if (token.length < 16 && !/[eE]/.test(token)) return true;
  const value = Number(token);
  if (!Number.isFinite(value)) return false;
  if (/^-?\d+$/.test(token)) return Number.isSafeInteger(value);
  return normalise(token) === normalise(String(value));
}

/** The significant digits and the power of ten, so that equal numbers have equal texts. */
function normalise(token: string): string {
  const [mantissa = '', exponent = '0'] = token.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace(/^[+-]/, '').split('.');
  const digits = `${whole}${fraction}`;
  const first = digits.search(/[1-9]/);
  if (first < 0) return '0';
  return `${token.startsWith('-') ? '-' : ''}${digits.slice(first).replace(/0+$/, '')}e${Number(exponent) + whole.length - first}`;
}
