/** Adds decimal numbers up from their texts, without a rounding anywhere. */

const NUMBER = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/;

/** PostgreSQL's numeric has at most so many digits before the point. */
const MOST_DIGITS = 131_072;

export class ExactSum {
  /** How many digits are after the point. */
  #scale = 0;
  #scaled = 0n;
  #isEmpty = true;

  /** @returns false where the text is no finite number, which then is not added */
  add(text: string): boolean {
    const [, sign, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
    if (sign === undefined || whole.length + fraction.length === 0) return false;
    const shift = Number(exponent);
    if (Math.abs(shift) > MOST_DIGITS) return false;
    const scale = fraction.length - shift;
    this.#widen(scale);
    this.#scaled += BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`) * 10n ** BigInt(this.#scale - scale);
    this.#isEmpty = false;
    return true;
  }

  /** The sum as PostgreSQL writes a numeric, with as many digits after the point as the longest had; null where nothing was added. */
  text(): string | null {
    if (this.#isEmpty) return null;
    const sum = this.#scaled;
    if (this.#scale === 0) return sum.toString();
    const digits = (sum < 0n ? -sum : sum).toString().padStart(this.#scale + 1, '0');
    return `${sum < 0n ? '-' : ''}${digits.slice(0, -this.#scale)}.${digits.slice(-this.#scale)}`;
  }

  #widen(scale: number): void {
    if (scale <= this.#scale) return;
    this.#scaled *= 10n ** BigInt(scale - this.#scale);
    this.#scale = scale;
  }
}
