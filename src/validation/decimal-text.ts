/** Decimal numbers as text, without the limits of a double. */

const DECIMAL = /^\s*([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?\s*$/;

/** A number as 0.DIGITS x 10^exponent; digits have no zeros at their ends, and are empty for zero. */
export interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

/** @returns null where the text is no decimal number */
export function readDecimal(text: string): Decimal | null {
  const found = DECIMAL.exec(text);
  if (!found) return null;
  const [, sign, whole = '', fraction = '', power = '0'] = found;
  const all = whole + fraction;
  if (all === '') return null;
  const first = all.search(/[1-9]/);
  if (first < 0) return { negative: sign === '-', digits: '', exponent: 0 };
  let end = all.length;
  while (all.charCodeAt(end - 1) === 48) end--;
  return { negative: sign === '-', digits: all.slice(first, end), exponent: whole.length - first + Number(power) };
}

/** The number of digits before the point that the number has after rounding to `scale` places, half away from zero. */
export function wholeDigitsAfterRounding(number: Decimal, scale: number): number {
  const { digits, exponent } = number;
  if (digits === '') return Number.NEGATIVE_INFINITY;
  const kept = exponent + scale;
  if (kept < 0) return Number.NEGATIVE_INFINITY;
  if (kept >= digits.length) return exponent;
  const roundsUp = digits.charCodeAt(kept) >= 53;
  if (kept === 0) return roundsUp ? exponent + 1 : Number.NEGATIVE_INFINITY;
  if (!roundsUp) return exponent;
  for (let index = 0; index < kept; index++) if (digits.charCodeAt(index) !== 57) return exponent;
  return exponent + 1;
}
