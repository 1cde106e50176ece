/** Days and instants as text, read strictly: JavaScript's own Date rolls 2001-02-30 over to March. */

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
  /** Minutes east of UTC; null where the text has no zone. */
  readonly offsetMinutes: number | null;
  readonly hasTime: boolean;
}

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d)(?::?(\d\d)(?::(\d\d))?)?)?)?$/;

/** Takes `YYYY-MM-DD`, and `YYYY-MM-DD` with `T` or a blank and `HH:MM[:SS[.f]]` and a zone or none; null for any other text. */
export function readInstant(text: string): InstantParts | null {
  const found = INSTANT.exec(text);
  if (!found) return null;
  const [, year, month, day, hour, minute, second, fraction, utc, sign, zoneHours, zoneMinutes] = found;
  let offsetMinutes: number | null = utc ? 0 : null;
  if (sign) offsetMinutes = (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes ?? 0));
  return {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour ?? 0),
    minute: Number(minute ?? 0),
    second: Number(second ?? 0),
    fraction: fraction ?? '',
    offsetMinutes,
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

/** The day and the time of day exist (no leap seconds, no 24:00). */
export function instantExists(parts: InstantParts): boolean {
  return (
    parts.year >= 1 &&
    dayExists(parts.year, parts.month, parts.day) &&
    parts.hour < 24 &&
    parts.minute < 60 &&
    parts.second < 60 &&
    Math.abs(parts.offsetMinutes ?? 0) < 16 * 60
  );
}

/** Milliseconds since 1970; a text without a zone is UTC. */
export function toMilliseconds(parts: InstantParts): number {
  const date = new Date(0);
  date.setUTCFullYear(parts.year, parts.month - 1, parts.day);
  date.setUTCHours(parts.hour, parts.minute, parts.second, Number(parts.fraction.slice(0, 3).padEnd(3, '0')));
  return date.getTime() - (parts.offsetMinutes ?? 0) * 60_000;
}

const FINER = Symbol('finer than a millisecond');

/**
 * The instant that a text names. What the text has beyond milliseconds is remembered with the Date and comes back in
 * {@link fractionOf} for as long as the Date is not changed, so that a timestamp passes through with its microseconds.
 *
 * @returns the reason where the text names none
 */
export function parseInstant(text: string): Date | string {
  const parts = readInstant(text);
  if (!parts) return NOT_A_DATE;
  if (!instantExists(parts)) return NO_SUCH_DATE;
  const date = new Date(toMilliseconds(parts));
  if (parts.fraction.length > 3 && !/^\d{3}0*$/.test(parts.fraction)) {
    Object.defineProperty(date, FINER, { value: { milliseconds: date.getTime(), fraction: parts.fraction } });
  }
  return date;
}

/** The digits of a Date's fraction of a second: three, or as many as the text had that it was parsed from. */
export function fractionOf(date: Date): string {
  const finer = (date as unknown as Record<symbol, { milliseconds: number; fraction: string } | undefined>)[FINER];
  if (finer && finer.milliseconds === date.getTime()) return finer.fraction;
  return String(date.getUTCMilliseconds()).padStart(3, '0');
}
