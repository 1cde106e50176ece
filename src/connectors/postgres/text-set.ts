/** A set of texts, asked by their bytes in UTF-8, so that no string is made. */

const EMPTY = -1;

export class TextSet {
  readonly #bytes: Buffer;
  readonly #starts: number[] = [];
  readonly #sizes: number[] = [];
  /** A hash table with open addressing: places in `#starts`. */
  readonly #slots: Int32Array;
  readonly #longest: number;

  constructor(texts: readonly string[]) {
    // A lone surrogate has no bytes of its own.
    const all = [...new Set(texts)]
      .map((text) => ({ text, bytes: Buffer.from(text) }))
      .filter(({ text, bytes }) => bytes.toString() === text);
    this.#bytes = Buffer.concat(all.map(({ bytes }) => bytes));
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(all.length * 4 + 1))).fill(EMPTY);
    this.#longest = Math.max(0, ...all.map(({ bytes }) => bytes.length));
    let start = 0;
    for (const { bytes } of all) {
      let slot = this.#slotOf(bytes, 0, bytes.length);
      while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = this.#starts.length;
      this.#starts.push(start);
      this.#sizes.push(bytes.length);
      start += bytes.length;
    }
  }

  has(bytes: Uint8Array, start: number, size: number): boolean {
    if (size > this.#longest) return false;
    for (let slot = this.#slotOf(bytes, start, size); ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const place = this.#slots[slot] as number;
      if (place === EMPTY) return false;
      if (this.#sizes[place] === size && this.#isAt(this.#starts[place] as number, bytes, start, size)) return true;
    }
  }

  #slotOf(bytes: Uint8Array, start: number, size: number): number {
    let hash = size;
    for (let at = start; at < start + size; at++) hash = Math.imul(hash, 31) + (bytes[at] as number);
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }

  #isAt(known: number, bytes: Uint8Array, start: number, size: number): boolean {
    for (let at = 0; at < size; at++) if (this.#bytes[known + at] !== bytes[start + at]) return false;
    return true;
  }
}
