/**
 * Numbers and instants read from the bytes of a field, in their plainest spellings only: what is not read here is no mistake, it is just
 * not plain.
 */
import { DAY_MS, dayExists, daysSince1970 } from '../../validation/instants.ts';
import { EXACT_DIGITS, POWERS_OF_TEN } from '../../validation/short-numbers.ts';

const ZERO = 0x30;
const NINE = 0x39;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;

const MOST_DIGITS = 60;

/** A decimal number without exponent: `-12.50`. */
export class ByteDecimal {
  value = 0;
  /** Digits before and after the point, with leading and trailing zeros. */
  whole = 0;
  fraction = 0;

  /** @returns whether the bytes are one; `value` is exact to the double even beyond 15 digits */
  read(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    const sign = bytes[at];
    if (sign === MINUS || sign === PLUS) at++;
    const first = at;
    let mantissa = 0;
    let point = -1;
    let byte = 0;
    for (; at < end; at++) {
      byte = bytes[at] as number;
      if (byte >= ZERO && byte <= NINE) mantissa = mantissa * 10 + (byte - ZERO);
      else if (byte === POINT && point < 0) point = at;
      else return false;
    }
    this.whole = (point < 0 ? end : point) - first;
    this.fraction = point < 0 ? 0 : end - point - 1;
    const digits = this.whole + this.fraction;
    if (this.whole === 0 || digits > MOST_DIGITS || (point >= 0 && this.fraction === 0)) return false;
    if (digits <= EXACT_DIGITS) {
      const value = this.fraction === 0 ? mantissa : mantissa / (POWERS_OF_TEN[this.fraction] as number);
      this.value = sign === MINUS ? -value : value;
    } else this.value = Number(bytes.toString('latin1', start, end));
    return true;
  }
}

/** A whole number: `-12`. */
export class ByteInteger {
  value = 0;

  /** @returns whether the bytes are one of at most `most` digits, which may be 15 at most for `value` to be exact */
  read(bytes: Buffer, start: number, end: number, most: number): boolean {
    let at = start;
    const sign = bytes[at];
    if (sign === MINUS || sign === PLUS) at++;
    if (at >= end || end - at > most) return false;
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) return false;
      value = value * 10 + digit;
    }
    this.value = sign === MINUS ? -value : value;
    return true;
  }
}

const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const BLANK = 0x20;
const COLON = 0x3a;

/** `2001-02-03`, `2001-02-03 04:05:06.789+01`, `2001-02-03T04:05:06Z`: days and times that exist, from the year 1000 on. */
export class ByteInstant {
  milliseconds = 0;
  hasTime = false;
  /** The day and the time are separated by `T`. */
  isoSeparator = false;
  /** It has no zone, or names UTC. */
  isUtc = true;

  read(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length < 10 || length > 35 || bytes[start + 4] !== MINUS || bytes[start + 7] !== MINUS) return false;
    const century = two(bytes, start);
    const yearOfCentury = two(bytes, start + 2);
    const month = two(bytes, start + 5);
    const day = two(bytes, start + 8);
    if (century < 10 || yearOfCentury < 0) return false;
    const year = century * 100 + yearOfCentury;
    if (month < 1 || month > 12 || day < 1 || (day > 28 && !dayExists(year, month, day))) return false;
    this.milliseconds = daysSince1970(year, month, day) * DAY_MS;
    this.hasTime = length > 10;
    this.isUtc = true;
    this.isoSeparator = this.hasTime && bytes[start + 10] === LETTER_T;
    return !this.hasTime || this.#readTime(bytes, start + 10, end);
  }

  #readTime(bytes: Buffer, start: number, end: number): boolean {
    if (end - start < 9 || (!this.isoSeparator && bytes[start] !== BLANK)) return false;
    if (bytes[start + 3] !== COLON || bytes[start + 6] !== COLON) return false;
    const hour = two(bytes, start + 1);
    const minute = two(bytes, start + 4);
    const second = two(bytes, start + 7);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
    let milliseconds = ((hour * 60 + minute) * 60 + second) * 1000;
    let at = start + 9;
    if (at < end && bytes[at] === POINT) {
      const from = ++at;
      let unit = 100;
      for (; at < end; at++) {
        const digit = (bytes[at] as number) - ZERO;
        if (digit < 0 || digit > 9) break;
        if (unit >= 1) milliseconds += digit * unit;
        unit /= 10;
      }
      // PostgreSQL keeps six digits and rounds the rest.
      if (at === from || at - from > 6) return false;
    }
    this.milliseconds += milliseconds;
    return at === end || this.#readZone(bytes, at, end);
  }

  #readZone(bytes: Buffer, start: number, end: number): boolean {
    const sign = bytes[start];
    const length = end - start;
    if (sign === LETTER_Z) return length === 1;
    if (sign !== PLUS && sign !== MINUS) return false;
    const hours = length >= 3 ? two(bytes, start + 1) : -1;
    let minutes = 0;
    if (length === 6 && bytes[start + 3] === COLON) minutes = two(bytes, start + 4);
    else if (length === 5) minutes = two(bytes, start + 3);
    else if (length !== 3) return false;
    if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59) return false;
    const offset = (hours * 60 + minutes) * 60_000;
    this.isUtc = offset === 0;
    this.milliseconds += sign === MINUS ? offset : -offset;
    return true;
  }
}

/** Two digits as a number; negative where they are none. */
function two(bytes: Buffer, at: number): number {
  const tens = (bytes[at] as number) - ZERO;
  const ones = (bytes[at + 1] as number) - ZERO;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones;
}

/** The number of code points of UTF-8 is within the limits. */
export function lengthIsWithin(bytes: Buffer, start: number, end: number, shortest: number, longest: number): boolean {
  let length = end - start;
  for (let at = start; at < end; at++) if (((bytes[at] as number) & 0xc0) === 0x80) length--;
  return length >= shortest && length <= longest;
}
