/** Instants read digit by digit are those of the general grammar; what is written is what JavaScript's own parts say. */
import fc from 'fast-check';
import { dayText, timestampText } from '../../../src/validation/date-text.ts';
import {
  CalendarDay,
  fractionOf,
  instantExists,
  isPlainDay,
  isPlainInstant,
  NO_SUCH_DATE,
  NOT_A_DATE,
  parseInstant,
  readInstant,
  toMilliseconds,
} from '../../../src/validation/instants.ts';

const padded = (length: number, max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(length, '0'));
const time = fc
  .tuple(
    fc.constantFrom('T', ' ', 't', ''),
    padded(2, 24),
    padded(2, 60),
    padded(2, 60),
    fc.constantFrom('', '.', '.5', '.120', '.123456', '.1234560', '.000001', '.123456789', '.1234567890'),
    fc.constantFrom('', 'Z', 'z', '+00', '-00', '+01', '-03:30', '+00:00', '+00:19:32', '-00:25:21', '+01:02:60', '+16', '+00x', 'ZZ', ' '),
  )
  .map(([separator, hour, minute, second, fraction, zone]) => `${separator}${hour}:${minute}:${second}${fraction}${zone}`);
const written = fc
  .tuple(
    fc.oneof(padded(4, 9999), fc.constantFrom('2000', '1900', '0099', '0000')),
    padded(2, 13),
    padded(2, 32),
    fc.option(time, { nil: '' }),
  )
  .map(([year, month, day, rest]) => `${year}-${month}-${day}${rest}`);
const text = fc.oneof({ weight: 5, arbitrary: written }, fc.string(), fc.constantFrom('', '2001/02/03', '2001-02-03 04:05', '２001-02-03'));

it('a text names the same instant as by the general grammar', () => {
  fc.assert(
    fc.property(text, (each) => {
      const parts = readInstant(each);
      const parsed = parseInstant(each);
      if (!parts) expect(parsed).toBe(NOT_A_DATE);
      else if (!instantExists(parts)) expect(parsed).toBe(NO_SUCH_DATE);
      else {
        const date = parsed as Date;
        expect(date.getTime()).toBe(toMilliseconds(parts));
        expect(Number(`0.${fractionOf(date)}`)).toBe(Number(`0.${parts.fraction || '0'}`));
      }
      const exists = parts !== null && instantExists(parts);
      if (isPlainDay(each)) expect(exists && !parts.hasTime).toBe(true);
      if (isPlainInstant(each)) expect(exists).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

it('a zone may have seconds, as PostgreSQL shows what lies before standard time', () => {
  expect(parseInstant('1892-04-30 23:59:59+00:19:32')).toEqual(new Date(Date.UTC(1892, 3, 30, 23, 40, 27)));
  expect(parseInstant('1900-01-01 00:00:00-00:25:21')).toEqual(new Date(Date.UTC(1900, 0, 1, 0, 25, 21)));
});

it('the usual texts are read the fast way', () => {
  for (const each of ['2026-01-01', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00.123456+00', '2026-01-01T00:00:00.123Z']) {
    expect(isPlainInstant(each)).toBe(true);
  }
});

it('what a text has beyond milliseconds is forgotten when the Date is changed', () => {
  const date = parseInstant('2001-02-03 04:05:06.123456+00') as Date;
  expect(fractionOf(date)).toBe('123456');
  date.setUTCMilliseconds(7);
  expect(fractionOf(date)).toBe('007');
  expect(date).toEqual(new Date('2001-02-03T04:05:06.007Z'));
});

it('a document has an instant with all of its digits, and a day as a day', () => {
  const instant = parseInstant('2001-02-03 04:05:06.123456+00') as Date;
  const day = new CalendarDay('2001-02-03');
  expect(JSON.stringify([instant, day])).toBe('["2001-02-03T04:05:06.123456Z","2001-02-03"]');
  instant.setUTCMilliseconds(7);
  day.setUTCHours(1);
  expect(JSON.stringify([instant, day])).toBe('["2001-02-03T04:05:06.007Z","2001-02-03T01:00:00.000Z"]');
  expect(JSON.stringify(new CalendarDay(Number.NaN))).toBe('null');
});

it('a Date is written in UTC', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true, min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z') }), (date) => {
      const iso = date.toISOString();
      expect(dayText(date)).toBe(iso.slice(0, 10));
      expect(timestampText(date)).toBe(`${iso.slice(0, 10)} ${iso.slice(11, 23)}+00`);
    }),
  );
});
