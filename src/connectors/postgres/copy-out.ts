/**
 * `COPY ... TO STDOUT` on a connection of pg. The server sends each row as a message of its own; here the rows are taken out of their
 * messages straight from the socket's buffers into large pieces, which costs a third of the CPU of handling them as messages
 * (pg-copy-streams 7 does), and reading is what a worker spends most of its time on.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type { Socket } from 'node:net';
import type pg from 'pg';

/** Bytes of a piece. */
const PIECE_BYTES = 128 * 1024;
/** The socket is not read while this much waits for the consumer. */
const MOST_WAITING_BYTES = 8 * PIECE_BYTES;

const COPY_DATA = 0x64;
/** Messages that may stand between the rows and are of no interest: CopyOutResponse, notice, notification, parameter status. */
const SKIPPED = new Set([0x48, 0x4e, 0x41, 0x53]);

interface PgConnection {
  readonly stream: Socket;
  query(text: string): void;
}

/** Hand it to `client.query`, then read `pieces`. */
export class CopyOut implements pg.Submittable {
  readonly #text: string;
  #socket: Socket | null = null;
  /** pg's own reader of the socket, while it is set aside. */
  #reader: ((data: Buffer) => void) | null = null;

  #header = Buffer.alloc(5);
  #headerBytes = 0;
  /** What is still to come of the message that has begun. */
  #payloadBytes = 0;
  #isRow = false;

  #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #pieceBytes = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #paused = false;

  #ended = false;
  #error: Error | null = null;
  #rows = 0;
  #wake: (() => void) | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** Rows that the server says it has sent; known when all pieces have been read. */
  get rows(): number {
    return this.#rows;
  }

  async *pieces(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      if (this.#error) throw this.#error;
      const piece = this.#waiting.shift();
      if (piece) {
        this.#waitingBytes -= piece.length;
        if (this.#paused && this.#waitingBytes < MOST_WAITING_BYTES / 2) this.#resume();
        yield piece;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  // What follows is called by pg.

  submit(connection: unknown): undefined {
    const { stream } = connection as PgConnection;
    const [reader] = stream.listeners('data') as ((data: Buffer) => void)[];
    if (!reader) throw new Error('the connection has no reader');
    this.#socket = stream;
    this.#reader = reader;
    stream.removeListener('data', reader);
    stream.on('data', this.#onData);
    (connection as PgConnection).query(this.#text);
  }

  handleCommandComplete(message: { readonly text?: string }): void {
    this.#rows = Number(/^COPY (\d+)$/.exec(message.text ?? '')?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#notify();
  }

  handleError(error: Error): void {
    this.#giveBack();
    this.#error ??= error;
    this.#notify();
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}

  readonly #onData = (data: Buffer): void => {
    let at = 0;
    while (at < data.length) {
      if (this.#payloadBytes > 0) {
        const end = Math.min(at + this.#payloadBytes, data.length);
        if (this.#isRow) this.#keep(data, at, end);
        this.#payloadBytes -= end - at;
        at = end;
        continue;
      }
      let code: number;
      let length: number;
      if (this.#headerBytes === 0 && data.length - at >= 5) {
        code = data[at] as number;
        length = data.readUInt32BE(at + 1);
        at += 5;
      } else {
        const taken = data.copy(this.#header, this.#headerBytes, at, at + 5 - this.#headerBytes);
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes < 5) break;
        this.#headerBytes = 0;
        code = this.#header[0] as number;
        length = this.#header.readUInt32BE(1);
      }
      if (code === COPY_DATA || SKIPPED.has(code)) {
        this.#isRow = code === COPY_DATA;
        this.#payloadBytes = length - 4;
        continue;
      }
      // The rows are over, or it failed: the rest is for pg.
      this.#flush();
      const reader = this.#giveBack();
      const header = Buffer.alloc(5);
      header[0] = code;
      header.writeUInt32BE(length, 1);
      reader?.(Buffer.concat([header, data.subarray(at)]));
      return;
    }
    if (this.#waitingBytes >= MOST_WAITING_BYTES && this.#socket) {
      this.#paused = true;
      this.#socket.pause();
    }
  };

  #keep(data: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const taken = Math.min(end - from, PIECE_BYTES - this.#pieceBytes);
      data.copy(this.#piece, this.#pieceBytes, from, from + taken);
      this.#pieceBytes += taken;
      from += taken;
      if (this.#pieceBytes === PIECE_BYTES) {
        this.#flush();
        this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      }
    }
  }

  #flush(): void {
    if (this.#pieceBytes === 0) return;
    this.#waiting.push(this.#piece.subarray(0, this.#pieceBytes));
    this.#waitingBytes += this.#pieceBytes;
    this.#pieceBytes = 0;
    this.#notify();
  }

  /** Puts pg's own reader back in its place. */
  #giveBack(): ((data: Buffer) => void) | null {
    const reader = this.#reader;
    if (reader && this.#socket) {
      this.#socket.removeListener('data', this.#onData);
      this.#socket.on('data', reader);
      this.#resume();
    }
    this.#reader = null;
    return reader;
  }

  #resume(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
