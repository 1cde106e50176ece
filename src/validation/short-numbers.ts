/** Numbers of so few digits that reading them digit by digit is exact; several times as fast as a regular expression and `Number`. */

/** Integers of so many digits are below 2^53. */
export const EXACT_DIGITS = 15;
/** Up to the number of exact digits. Doubles hold these exactly, so that an exact integer divided by one is rounded correctly. */
export const POWERS_OF_TEN = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
const MINUS = 45;
const POINT = 46;

/**
 * @returns the number where the text is 1 to 15 digits, with a point between or beside them or none, with a minus before or none; NaN for
 * any other text, whatever it means
 */
export function readShortNumber(text: string): number {
  const { length } = text;
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  let digits = 0;
  let point = -1;
  let value = 0;
  for (let at = start; at < length; at++) {
    const code = text.charCodeAt(at);
    const digit = code - 48;
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      digits++;
    } else if (code === POINT && point < 0) point = at;
    else return Number.NaN;
  }
  if (digits === 0 || digits > EXACT_DIGITS) return Number.NaN;
  // Both are exact, so that the quotient is the double nearest to the decimal number.
  if (point >= 0) value /= POWERS_OF_TEN[length - 1 - point] as number;
  return start === 0 ? value : -value;
}

/** The same for texts without a point. */
export function readShortInteger(text: string): number {
  const { length } = text;
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  if (length === start || length - start > EXACT_DIGITS) return Number.NaN;
  let value = 0;
  for (let at = start; at < length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return start === 0 ? value : -value;
}

/** Two digits from `at` on; NaN where they are none. */
export function readTwoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
