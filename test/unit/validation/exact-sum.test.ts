import fc from 'fast-check';
import { ExactSum } from '../../../src/validation/exact-sum.ts';

function sumOf(...texts: string[]): string | null {
  const sum = new ExactSum();
  for (const text of texts) expect([text, sum.add(text)]).toEqual([text, true]);
  return sum.text();
}

test.each([
  [['1', '2'], '3'],
  [['-0.500', '0.5'], '0.000'],
  [['-1.005', '1'], '-0.005'],
  [['99999999999999999999.9', '0.1'], '100000000000000000000.0'],
  [['1e3', '+1.5E-2', ' .5', '5. '], '1005.515'],
  [['0.1', '0.2'], '0.3'],
  [[], null],
])('%j add up to %s', (texts, sum) => {
  expect(sumOf(...texts)).toBe(sum);
});

test.each(['', '.', '-', 'NaN', 'Infinity', '1e', '0x10', '1_000', '1 2', '1e999999999'])('%j is not added', (text) => {
  const sum = new ExactSum();
  expect(sum.add(text)).toBe(false);
  expect(sum.text()).toBeNull();
});

test('the order does not matter, and nothing is rounded', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.bigInt(-(10n ** 30n), 10n ** 30n), fc.nat(12))), (numbers) => {
      const texts = numbers.map(([mantissa, scale]) => `${mantissa}e-${scale}`);
      const total = numbers.reduce((sum, [mantissa, scale]) => sum + mantissa * 10n ** BigInt(12 - scale), 0n);
      const sum = sumOf(...texts);
      expect(sumOf(...[...texts].reverse())).toBe(sum);
      expect(
        sum === null ? 0n : BigInt((sum.includes('.') ? sum : `${sum}.`).replace(/\.(.*)/, (_, digits: string) => digits.padEnd(12, '0'))),
      ).toBe(total);
    }),
  );
});
