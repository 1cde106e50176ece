/** Bytes on their way into COPY: parts of a file as they are, and bytes written in between, joined into pieces of 64 KiB and more. */
import { joined } from './joined.ts';

const PIECE_BYTES = 64 * 1024;
const BUFFER_BYTES = 256 * 1024;

/** A call costs more than the bytes of a short text: some 60 ns, and a byte less than one. */
const SHORT = 72;

export class CopyPieces {
  /** Where bytes are written that are not in the file as they are; make room first. */
  buffer: Buffer = Buffer.alloc(0);
  /** Where the next byte is written. */
  at = 0;
  #written = 0;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** The billions of the last position, and their digits. */
  #highPosition = -1;
  #highDigits = '';
  /** The last part, as long as it may grow. */
  #run: { readonly bytes: Buffer; readonly from: number; to: number } | null = null;

  /** There is enough for a piece. */
  get isReady(): boolean {
    return this.#partBytes + (this.at - this.#written) >= PIECE_BYTES;
  }

  get isEmpty(): boolean {
    return this.#partBytes + (this.at - this.#written) === 0;
  }

  /** Adds bytes of the file as they are. The buffer must not be overwritten afterwards. */
  pass(bytes: Buffer, from: number, to: number): void {
    if (from >= to) return;
    this.#closeWritten();
    this.#partBytes += to - from;
    if (this.#run && this.#run.bytes === bytes && this.#run.to === from) {
      this.#run.to = to;
      return;
    }
    this.#closeRun();
    this.#run = { bytes, from, to };
  }

  /** Makes room in `buffer` for so many bytes from `at` on. */
  makeRoom(bytes: number): void {
    this.#closeRun();
    if (this.at + bytes <= this.buffer.length) return;
    this.#closeWritten();
    this.buffer = Buffer.allocUnsafeSlow(Math.max(BUFFER_BYTES, bytes));
    this.at = 0;
    this.#written = 0;
  }

  write(text: string): void {
    this.makeRoom(text.length * 3);
    this.at += this.buffer.write(text, this.at);
  }

  /** Copies bytes; room has been made. */
  copy(bytes: Buffer, start: number, end: number): void {
    if (end - start > SHORT) {
      this.at += bytes.copy(this.buffer, this.at, start, end);
      return;
    }
    const { buffer } = this;
    let { at } = this;
    for (let index = start; index < end; index++) buffer[at++] = bytes[index] as number;
    this.at = at;
  }

  /** Room has been made. */
  writeByte(byte: number): void {
    this.buffer[this.at++] = byte;
  }

  /** Writes a whole number and a delimiter; room has been made. */
  writePosition(position: number, delimiter: number): void {
    const { buffer } = this;
    let { at } = this;
    const high = Math.floor(position / 1e9);
    let low = position - high * 1e9;
    let digits = 9;
    if (high > 0) {
      if (high !== this.#highPosition) {
        this.#highPosition = high;
        this.#highDigits = String(high);
      }
      for (let nth = 0; nth < this.#highDigits.length; nth++) buffer[at++] = this.#highDigits.charCodeAt(nth);
    } else {
      digits = 1;
      for (let rest = low; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    }
    for (let nth = digits - 1; nth >= 0; nth--) {
      const rest = (low / 10) | 0;
      buffer[at + nth] = 0x30 + (low - rest * 10);
      low = rest;
    }
    at += digits;
    buffer[at++] = delimiter;
    this.at = at;
  }

  /** All there is, as one piece. */
  take(): Buffer {
    this.#closeRun();
    this.#closeWritten();
    const piece = joined(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    return piece;
  }

  #closeRun(): void {
    const run = this.#run;
    if (!run) return;
    this.#run = null;
    this.#parts.push(run.bytes.subarray(run.from, run.to));
  }

  #closeWritten(): void {
    if (this.at === this.#written) return;
    this.#parts.push(this.buffer.subarray(this.#written, this.at));
    this.#partBytes += this.at - this.#written;
    this.#written = this.at;
  }
}
