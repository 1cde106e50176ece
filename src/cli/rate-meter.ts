/** How far back the rate looks. */
const WINDOW_MS = 6_000;

/** Rows a second, over the last seconds. */
export class RateMeter {
  /** What was counted most: heartbeats lag behind, and rows are never unread. */
  highest = 0;
  #samples: { at: number; rows: number }[] = [];

  add(rows: number, at: number): void {
    this.highest = Math.max(this.highest, rows);
    this.#samples.push({ at, rows: this.highest });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) >= WINDOW_MS) this.#samples.shift();
  }

  /** Null until there is something to go by. */
  perSecond(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.at - first.at < 500 || last.rows === 0) return null;
    return ((last.rows - first.rows) * 1000) / (last.at - first.at);
  }
}
