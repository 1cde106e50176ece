import { clip, count, duration, plural, rate, table, timeLeft } from '../../../src/cli/format.ts';

it('writes numbers as people read them', () => {
  expect(count(2_214_870)).toBe('2,214,870');
  expect(plural(1, 'row')).toBe('1 row');
  expect(plural(0, 'row')).toBe('0 rows');
  expect(rate(411_987)).toBe('412,000/s');
  expect(rate(0.4)).toBe('0/s');
});

it.each([
  [0.84, '0.8 s'],
  [9.96, '10 s'],
  [59.4, '59 s'],
  [60, '1 min'],
  [185, '3 min 5 s'],
  [7_800, '2 h 10 min'],
  [273_600, '3 d 4 h'],
  [-1, '0.0 s'],
])('writes %d seconds as %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

it('never says that no time is left', () => {
  expect(timeLeft(0.1)).toBe('1 s');
  expect(timeLeft(2.4)).toBe('2 s');
  expect(timeLeft(75)).toBe('1 min 15 s');
});

it('clips to one line', () => {
  expect(clip('a\n  b', 10)).toBe('a b');
  expect(clip('abcdef', 4)).toBe('abc…');
});

it('puts numbers to the right', () => {
  expect(
    table(
      ['RUN', 'ROWS'],
      [
        ['a', 1000],
        ['bcd', 7],
      ],
    ),
  ).toBe('RUN   ROWS\na    1,000\nbcd      7');
});
