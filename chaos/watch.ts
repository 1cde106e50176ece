/** Watches the ledger while runs go on: which partitions move, how long they stand still, and what is copied again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../src/connectors/postgres/database.ts';

const LOOK_MS = 100;

interface Moving {
  /** Number of the last chunk recorded. */
  chunk: number;
  rows: number;
  last: boolean;
  /** The worker that has it, and the how manieth attempt that is. */
  holder: string | null;
  epoch: number;
}

interface Waiting {
  readonly since: number;
  /** It has gone on when another attempt has it; null: when another chunk is recorded. */
  readonly epoch: number | null;
  waitedMs: number | null;
}

/** What is recorded of each partition that is not committed, and which runs there are. */
const LOOK = `
  select c.run_key as run, c.partition, max(c.chunk)::int as chunk, sum(c.rows_read)::float8 as rows, bool_or(c.last) as last,
         max(f.holder) as holder, coalesce(max(f.epoch), 0)::int as epoch
  from sluice.chunks c left join sluice.fences f on f.run_key = c.run_key and f.unit = 'copy:' || c.partition group by 1, 2`;

interface Look extends Moving {
  readonly run: string;
  readonly partition: number;
}

export class Watch {
  readonly #database: Database;
  readonly #partitions = new Map<string, Moving>();
  #stopped = false;
  #looking: Promise<void>;
  /** Partitions that were in hand when something broke, until their next chunk. */
  #waiting = new Map<string, Waiting>();
  /** Rows of recorded chunks that a crash of the database took away, so that they were copied again. */
  rowsCopiedAgain = 0;

  constructor(database: Database) {
    this.#database = database;
    this.#looking = this.#look();
  }

  /** Chunks recorded of all that is not committed. */
  get chunks(): number {
    return [...this.#partitions.values()].reduce((sum, { chunk }) => sum + chunk + 1, 0);
  }

  /** Partitions that are being copied. */
  get inHand(): number {
    return [...this.#partitions.values()].filter(({ last }) => !last).length;
  }

  /**
   * Something breaks now.
   * @param worker whose partitions stand still, until another attempt begins; left out: all of them may, until each has another chunk
   * @returns how many partitions that are
   */
  broke(worker?: string): number {
    const now = Date.now();
    const inHand = [...this.#partitions].filter(([, { last, holder }]) => !last && (worker === undefined || holder === worker));
    this.#waiting = new Map(
      inHand.map(([name, { epoch }]) => [name, { since: now, epoch: worker === undefined ? null : epoch, waitedMs: null }]),
    );
    return this.#waiting.size;
  }

  /** The longest time from the breakage until a partition that was in hand then moved on; null where none was. */
  get recoverSeconds(): number | null {
    const waited = [...this.#waiting.values()].flatMap(({ waitedMs }) => waitedMs ?? []);
    return waited.length === 0 ? null : Math.max(...waited) / 1000;
  }

  /** All that was in hand when something broke has moved on. */
  get hasMoved(): boolean {
    return [...this.#waiting.values()].every(({ waitedMs }) => waitedMs !== null);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (!this.#stopped) {
      const rows = await this.#database.query<Look>(LOOK).catch(() => null);
      if (rows) this.#seen(rows);
      await delay(LOOK_MS);
    }
  }

  #seen(rows: readonly Look[]): void {
    const now = Date.now();
    const seen = new Set<string>();
    const runs = new Set(rows.map(({ run }) => run));
    for (const { run, partition, chunk, rows: count, last, holder, epoch } of rows) {
      const name = `${run} ${partition}`;
      seen.add(name);
      const before = this.#partitions.get(name);
      this.#partitions.set(name, { chunk, rows: count, last, holder, epoch });
      const moved = !before || before.chunk !== chunk || before.rows !== count;
      if (before && before.rows > count) this.rowsCopiedAgain += before.rows;
      const waiting = this.#waiting.get(name);
      if (!waiting || waiting.waitedMs !== null) continue;
      if (waiting.epoch === null ? moved : last || epoch > waiting.epoch) waiting.waitedMs = now - waiting.since;
    }
    for (const [name, before] of this.#partitions) {
      if (seen.has(name)) continue;
      this.#partitions.delete(name);
      const waiting = this.#waiting.get(name);
      const isCommitted = before.last && !runs.has(name.split(' ')[0] ?? '');
      // What is gone in the middle is copied again; the wait goes on until it is there again.
      if (!before.last) this.rowsCopiedAgain += before.rows;
      else if (waiting && waiting.waitedMs === null && isCommitted) waiting.waitedMs = now - waiting.since;
    }
  }
}
