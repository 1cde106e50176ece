/** Numbers read digit by digit are the ones that JavaScript reads, and numbers are written as JavaScript writes them. */
import fc from 'fast-check';
import { numberText } from '../../../src/validation/number-text.ts';
import { readShortInteger, readShortNumber, readTwoDigits } from '../../../src/validation/short-numbers.ts';

const digits = (maxLength: number) => fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength });
const sign = fc.constantFrom('', '-', '+');
const decimal = fc.tuple(sign, digits(18), fc.constantFrom('', '.'), digits(18)).map((parts) => parts.join(''));
const text = fc.oneof(
  decimal,
  fc.string(),
  fc.constantFrom('', '-', '.', '-.', '1e5', '0x1', ' 1', '1 ', '1\n', '１', '1_0', '-0', '-0.0'),
);

it('a number is read exactly, or not at all', () => {
  fc.assert(
    fc.property(text, (written) => {
      const number = readShortNumber(written);
      const isShort = /^-?(?:\d+\.?\d*|\.\d+)$/.test(written) && written.replace(/\D/g, '').length <= 15;
      expect(number).toBe(isShort ? Number(written) : Number.NaN);
    }),
    { numRuns: 2_000 },
  );
});

it('an integer is read exactly, or not at all', () => {
  fc.assert(
    fc.property(text, (written) => {
      expect(readShortInteger(written)).toBe(/^-?\d{1,15}$/.test(written) ? Number(written) : Number.NaN);
    }),
    { numRuns: 2_000 },
  );
});

it.each([
  ['a07', 7],
  ['a99', 99],
  ['a1', Number.NaN],
  ['a', Number.NaN],
  ['a1x', Number.NaN],
  ['a-1', Number.NaN],
])('two digits of %s', (written, number) => {
  expect(readTwoDigits(written, 1)).toBe(number);
});

it('a number is written as String does', () => {
  const cents = fc.integer({ min: -(10 ** 15) * 2, max: 10 ** 15 * 2 }).map((hundredths) => hundredths / 100);
  const special = fc.constantFrom(0, -0, 0.1, 0.07, 1.005, 1e15, 1e21, 1e-7, 123456789012345.67, 9999999999999.99, 0.30000000000000004);
  const number = fc.oneof(cents, special, fc.double(), fc.maxSafeInteger(), fc.integer());
  fc.assert(
    fc.property(number, (value) => {
      expect(numberText(value)).toBe(String(value));
    }),
    { numRuns: 5_000 },
  );
});
