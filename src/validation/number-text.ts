/**
 * Numbers as text, as `String` gives them. `String` keeps what it made in a cache; among millions of different numbers it finds nothing
 * there, and what the cache holds is copied by each garbage collection.
 */

const THREE_DIGITS = Array.from({ length: 1000 }, (_, value) => String(value).padStart(3, '0'));
const UP_TO_THREE_DIGITS = Array.from({ length: 1000 }, (_, value) => String(value));
const TWO_DIGITS = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

/** Decimal numbers of so many digits differ as doubles, so that one that rounds to the double is the shortest that does. */
const FIFTEEN_DIGITS = 1e15;

/** @returns what `String(value)` does */
export function numberText(value: number): string {
  if (value < 0) return value > -FIFTEEN_DIGITS ? `-${numberText(-value)}` : String(value);
  if (Number.isInteger(value)) return value < FIFTEEN_DIGITS ? wholeText(value) : String(value);
  // Money and the like: at most two digits after the point.
  const hundredths = Math.round(value * 100);
  if (hundredths >= FIFTEEN_DIGITS || hundredths / 100 !== value) return String(value);
  const whole = Math.floor(hundredths / 100);
  const rest = hundredths - whole * 100;
  return `${wholeText(whole)}.${rest % 10 === 0 ? UP_TO_THREE_DIGITS[rest / 10] : TWO_DIGITS[rest]}`;
}

function wholeText(value: number): string {
  if (value < 1_000) return UP_TO_THREE_DIGITS[value] as string;
  const thousands = Math.floor(value / 1_000);
  return wholeText(thousands) + THREE_DIGITS[value - thousands * 1_000];
}
