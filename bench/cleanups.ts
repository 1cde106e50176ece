/** What was started is ended, last first: at the end, and on Ctrl-C. */
export class Cleanups {
  readonly #tasks: (() => Promise<unknown>)[] = [];
  #running: Promise<void> | null = null;

  add(task: () => Promise<unknown>): void {
    this.#tasks.push(task);
  }

  /** May be called twice: the second call waits for the first. */
  run(): Promise<void> {
    this.#running ??= (async () => {
      for (const task of this.#tasks.splice(0).reverse()) {
        await task().catch((error) => console.error('cleaning up:', error instanceof Error ? error.message : error));
      }
    })();
    return this.#running;
  }
}
