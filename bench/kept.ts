/** What was measured already, in a file: a bench that was interrupted goes on from there. */
import { readFile, rename, writeFile } from 'node:fs/promises';

export class Kept {
  readonly #file: string | null;
  #known: Record<string, unknown> = {};

  private constructor(file: string | null) {
    this.#file = file;
  }

  /** @param file null: nothing is kept */
  static async open(file: string | null): Promise<Kept> {
    const kept = new Kept(file);
    const text = file === null ? '{}' : await readFile(file, 'utf8').catch(() => '{}');
    kept.#known = JSON.parse(text);
    return kept;
  }

  /** What is known by this name, or else what is measured now. */
  async once<T>(name: string, measure: () => Promise<T>): Promise<T> {
    if (name in this.#known) return this.#known[name] as T;
    const measured = await measure();
    this.#known[name] = measured;
    if (this.#file !== null) {
      await writeFile(`${this.#file}.new`, JSON.stringify(this.#known));
      await rename(`${this.#file}.new`, this.#file);
    }
    return measured;
  }
}
