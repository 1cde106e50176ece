/** Dates as PostgreSQL's input text, in UTC. */
import { DAY_MS, fractionOf } from './instants.ts';

const MINUTE_MS = 60_000;

/** Days as text: the rows of a chunk have few different ones. */
const days = new Map<number, DayText>();
const DAYS_KEPT = 4096;

interface DayText {
  readonly day: string;
  /** Goes behind the time. */
  readonly era: '' | ' BC';
}

const TWO_DIGITS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));
/** ` HH:MM:` by the minute of the day. */
const MINUTES = Array.from({ length: 24 * 60 }, (_, minute) => ` ${TWO_DIGITS[Math.floor(minute / 60)]}:${TWO_DIGITS[minute % 60]}:`);

/** `2001-02-03`. The Date must be valid. */
export function dayText(date: Date): string {
  const { day, era } = textOfDay(Math.floor(date.getTime() / DAY_MS));
  return day + era;
}

/** `2001-02-03 04:05:06.789+00`, with the microseconds of {@link fractionOf}. The Date must be valid. */
export function timestampText(date: Date): string {
  const milliseconds = date.getTime();
  const dayNumber = Math.floor(milliseconds / DAY_MS);
  const { day, era } = textOfDay(dayNumber);
  const minutes = Math.floor((milliseconds - dayNumber * DAY_MS) / MINUTE_MS);
  const seconds = Math.floor((milliseconds - dayNumber * DAY_MS - minutes * MINUTE_MS) / 1000);
  return `${day + MINUTES[minutes] + TWO_DIGITS[seconds]}.${fractionOf(date)}+00${era}`;
}

function textOfDay(dayNumber: number): DayText {
  const known = days.get(dayNumber);
  if (known) return known;
  if (days.size >= DAYS_KEPT) days.clear();
  const made = writeDay(new Date(dayNumber * DAY_MS));
  days.set(dayNumber, made);
  return made;
}

function writeDay(date: Date): DayText {
  const year = date.getUTCFullYear();
  // PostgreSQL's year 1 BC is the astronomical year 0.
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  const month = TWO_DIGITS[date.getUTCMonth() + 1];
  return { day: `${shown}-${month}-${TWO_DIGITS[date.getUTCDate()]}`, era: year > 0 ? '' : ' BC' };
}
