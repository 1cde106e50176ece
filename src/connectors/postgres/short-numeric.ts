/** Numerics of so few digits that their double can be had without their text. */

const POWERS_OF_10000 = [1, 1e4, 1e8, 1e12, 1e16, 1e20];
const POSITIVE = 0;
const NEGATIVE = 0x4000;

/**
 * The double nearest to the numeric at `start`, which is what JavaScript reads from its text; NaN where the short way is not exact, and for
 * what is not finite.
 */
export function shortNumeric(view: DataView, start: number): number {
  const count = view.getUint16(start);
  const sign = view.getUint16(start + 4);
  if (count > 4 || (sign !== POSITIVE && sign !== NEGATIVE)) return Number.NaN;
  if (count === 0) return 0;
  let digits = 0;
  for (let index = 0, at = start + 8; index < count; index++, at += 2) digits = digits * 10_000 + view.getUint16(at);
  const places = count - 1 - view.getInt16(start + 2);
  if (digits > Number.MAX_SAFE_INTEGER || places < -5 || places > 5) return Number.NaN;
  // Both are exact, so that the quotient or product is the nearest double.
  const size = places >= 0 ? digits / (POWERS_OF_10000[places] as number) : digits * (POWERS_OF_10000[-places] as number);
  return sign === POSITIVE ? size : -size;
}
