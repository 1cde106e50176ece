/** The part of a file that is in memory, moved forward through files of any size. */
import { isAscii } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { PermanentError } from '../../errors.ts';
import type { PlannedFile } from '../files.ts';

const BLOCK = 256 * 1024;

/**
 * A window of a file's bytes. It is never overwritten: {@link FileWindow.more} makes a new buffer, so that records may keep
 * looking at the old one.
 */
export class FileWindow {
  /** The bytes in memory; the first one is at `offset` in the file. */
  bytes: Buffer = Buffer.alloc(0);
  offset = 0;
  /** All bytes in memory are ASCII. */
  ascii = true;
  /** A zero byte is among them. */
  hasNul = false;
  readonly #handle: FileHandle;
  readonly #file: PlannedFile;

  private constructor(handle: FileHandle, file: PlannedFile) {
    this.#handle = handle;
    this.#file = file;
  }

  /** @throws PermanentError `MissingFile`, `MissingGrant` */
  static async open(file: PlannedFile): Promise<FileWindow> {
    try {
      return new FileWindow(await open(file.path, 'r'), file);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') {
        throw new PermanentError('MissingFile', `File "${file.path}" is not there. Every worker must see the same files.`, {
          cause: error,
        });
      }
      if (code === 'EACCES')
        throw new PermanentError('MissingGrant', `File "${file.path}" may not be read by this worker.`, { cause: error });
      throw error;
    }
  }

  /** The window reaches the end of the file as it was planned. */
  get atEnd(): boolean {
    return this.offset + this.bytes.length >= this.#file.bytes;
  }

  /** Empties the window and puts it at an offset of the file. */
  seek(offset: number): void {
    this.bytes = Buffer.alloc(0);
    this.offset = offset;
  }

  /**
   * Drops the bytes before `index` and reads on. What is kept is doubled at least, so that a long record is not scanned again and
   * again.
   * @throws PermanentError `SourceChanged` where the file is shorter than planned
   */
  async more(index: number): Promise<void> {
    const kept = this.bytes.length - index;
    const from = this.offset + this.bytes.length;
    const wanted = Math.min(Math.max(BLOCK, kept), this.#file.bytes - from);
    const next = Buffer.allocUnsafeSlow(kept + wanted);
    this.bytes.copy(next, 0, index);
    let filled = kept;
    while (filled < next.length) {
      const { bytesRead } = await this.#handle.read(next, filled, next.length - filled, this.offset + index + filled);
      if (bytesRead === 0) {
        throw new PermanentError(
          'SourceChanged',
          `File "${this.#file.path}" is shorter than when the run was planned (${this.#file.bytes} bytes then). Start a new run.`,
        );
      }
      filled += bytesRead;
    }
    this.offset += index;
    this.bytes = next;
    this.ascii = isAscii(next);
    this.hasNul = next.includes(0);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
