/** Days and instants as text, read strictly: JavaScript's own Date rolls 2001-02-30 over to March. */

import { readTwoDigits } from './short-numbers.ts';

export const DAY_MS = 86_400_000;

/** Reasons are stable, so that quarantined rows can be grouped by them. */
export const NOT_A_DATE = 'expected a date';
export const NO_SUCH_DATE = 'not a date that exists';

/** The parts of a text that is written as a date or an instant; whether they exist is not yet known. */
export interface InstantParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Digits after the decimal point of the seconds, as written. */
  readonly fraction: string;
  /** Seconds east of UTC; null where the text has no zone. */
  readonly offsetSeconds: number | null;
  readonly hasTime: boolean;
}

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d)(?::?(\d\d)(?::(\d\d))?)?)?)?$/;

/** Takes `YYYY-MM-DD`, and `YYYY-MM-DD` with `T` or a blank and `HH:MM[:SS[.f]]` and a zone or none; null for any other text. */
export function readInstant(text: string): InstantParts | null {
  const found = INSTANT.exec(text);
  if (!found) return null;
  const [, year, month, day, hour, minute, second, fraction, utc, sign, zoneHours, zoneMinutes, zoneSeconds] = found;
  let offsetSeconds: number | null = utc ? 0 : null;
  // Zones of the 19th century have seconds.
  if (sign) offsetSeconds = (sign === '-' ? -1 : 1) * ((Number(zoneHours) * 60 + Number(zoneMinutes ?? 0)) * 60 + Number(zoneSeconds ?? 0));
  return {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour ?? 0),
    minute: Number(minute ?? 0),
    second: Number(second ?? 0),
    fraction: fraction ?? '',
    offsetSeconds,
    hasTime: hour !== undefined,
  };
}

/** Days of a month in the Gregorian calendar, as PostgreSQL and JavaScript have it for all years. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The day is in the calendar. */
export function dayExists(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

/** Several times as fast as `Date.UTC`: http://howardhinnant.github.io/date_algorithms.html#days_from_civil */
export function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The day and the time of day exist (no leap seconds, no 24:00). */
export function instantExists(parts: InstantParts): boolean {
  return (
    parts.year >= 1 &&
    dayExists(parts.year, parts.month, parts.day) &&
    parts.hour < 24 &&
    parts.minute < 60 &&
    parts.second < 60 &&
    Math.abs(parts.offsetSeconds ?? 0) < 16 * 3600
  );
}

/** Milliseconds since 1970; a text without a zone is UTC. */
export function toMilliseconds(parts: InstantParts): number {
  const date = new Date(0);
  date.setUTCFullYear(parts.year, parts.month - 1, parts.day);
  date.setUTCHours(parts.hour, parts.minute, parts.second, Number(parts.fraction.slice(0, 3).padEnd(3, '0')));
  return date.getTime() - (parts.offsetSeconds ?? 0) * 1000;
}

/** The text is `YYYY-MM-DD`, of a day that exists. */
export function isPlainDay(text: string): boolean {
  return text.length === 10 && !Number.isNaN(plainDay(text));
}

/** The text is a day or an instant that exists, of one of the kinds that are read fastest. */
export function isPlainInstant(text: string): boolean {
  return isPlainDay(text) || !Number.isNaN(readPlainInstant(text));
}

/** Milliseconds since 1970 of the `YYYY-MM-DD` at the beginning; NaN for another text and for a day that does not exist. */
function plainDay(text: string): number {
  const year = readTwoDigits(text, 0) * 100 + readTwoDigits(text, 2);
  const month = readTwoDigits(text, 5);
  const day = readTwoDigits(text, 8);
  if (text.charCodeAt(4) !== HYPHEN || text.charCodeAt(7) !== HYPHEN) return Number.NaN;
  return year >= 1 && dayExists(year, month, day) ? daysSince1970(year, month, day) * DAY_MS : Number.NaN;
}

/**
 * Milliseconds since 1970 for texts as PostgreSQL and JavaScript write instants in UTC (`YYYY-MM-DD HH:MM:SS[.ffffff]+00`, `...THH:MM:SSZ`),
 * NaN for all others: several times as fast as {@link readInstant}.
 */
function readPlainInstant(text: string): number {
  const separator = text.charCodeAt(10);
  if (separator !== BLANK && separator !== LETTER_T) return Number.NaN;
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return Number.NaN;
  const hour = readTwoDigits(text, 11);
  const minute = readTwoDigits(text, 14);
  const second = readTwoDigits(text, 17);
  if (!(hour < 24 && minute < 60 && second < 60)) return Number.NaN;
  const zone = endOfFraction(text);
  const isUtc = text.charCodeAt(zone) === LETTER_Z ? text.length === zone + 1 : text.length === zone + 3 && text.endsWith('+00');
  return isUtc ? plainDay(text) + ((hour * 60 + minute) * 60 + second) * 1000 + plainMilliseconds(text, zone) : Number.NaN;
}

const SECONDS_END = 19;

/** Where the fraction of a second ends; one that has no digits, or more than nine, is not read over. */
function endOfFraction(text: string): number {
  if (text.charCodeAt(SECONDS_END) !== POINT) return SECONDS_END;
  let end = SECONDS_END + 1;
  while (isDigit(text.charCodeAt(end))) end++;
  const digits = end - SECONDS_END - 1;
  return digits >= 1 && digits <= 9 ? end : SECONDS_END;
}

function plainMilliseconds(text: string, end: number): number {
  let milliseconds = 0;
  for (let at = SECONDS_END + 1, unit = 100; at < end && unit >= 1; at++, unit /= 10) milliseconds += (text.charCodeAt(at) - 48) * unit;
  return milliseconds;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

const BLANK = 32;
const HYPHEN = 45;
const POINT = 46;
const COLON = 58;
const LETTER_T = 84;
const LETTER_Z = 90;

/** A Date that was parsed from a text which has more digits than milliseconds need. */
class FinerDate extends Date {
  readonly #milliseconds: number;
  readonly #fraction: string;

  constructor(milliseconds: number, fraction: string) {
    super(milliseconds);
    this.#milliseconds = milliseconds;
    this.#fraction = fraction;
  }

  /** The digits, unless the Date was changed since. */
  static fractionOf(date: Date): string | null {
    return #fraction in date && date.#milliseconds === date.getTime() ? date.#fraction : null;
  }

  /** The digits are kept in a document, too. */
  override toJSON(): string {
    return FinerDate.fractionOf(this) === null ? super.toJSON() : instantText(this);
  }
}

/** A day of the calendar: a Date at midnight in UTC, which a document has as `2001-02-03` unless the Date was changed since. */
export class CalendarDay extends Date {
  override toJSON(): string {
    return this.getTime() % DAY_MS === 0 ? this.toISOString().slice(0, -14) : super.toJSON();
  }
}

/**
 * The instant that a text names. What the text has beyond milliseconds is remembered with the Date and comes back in
 * {@link fractionOf} for as long as the Date is not changed, so that a timestamp passes through with its microseconds.
 *
 * @returns the reason where the text names none
 */
export function parseInstant(text: string): Date | string {
  if (text.length === 10) {
    const day = plainDay(text);
    if (!Number.isNaN(day)) return new Date(day);
  }
  const milliseconds = readPlainInstant(text);
  if (!Number.isNaN(milliseconds)) return instantAt(milliseconds, text.substring(SECONDS_END + 1, endOfFraction(text)));
  const parts = readInstant(text);
  if (!parts) return NOT_A_DATE;
  if (!instantExists(parts)) return NO_SUCH_DATE;
  return instantAt(toMilliseconds(parts), parts.fraction);
}

/** The instant so many milliseconds after 1970, which remembers the digits of its fraction of a second where they are finer. */
export function instantAt(milliseconds: number, fraction: string): Date {
  return fraction.length > 3 && !/^\d{3}0*$/.test(fraction) ? new FinerDate(milliseconds, fraction) : new Date(milliseconds);
}

/** The digits of a Date's fraction of a second: three, or as many as the text had that it was parsed from. */
export function fractionOf(date: Date): string {
  return FinerDate.fractionOf(date) ?? String(date.getUTCMilliseconds()).padStart(3, '0');
}

/** `2001-02-03T04:05:06.789Z`, with the digits of {@link fractionOf}. The Date must be valid. */
export function instantText(date: Date): string {
  return `${date.toISOString().slice(0, -4)}${fractionOf(date)}Z`;
}
