/**
 * A transaction that only reads, with one snapshot, on a connection of its own. All that it sets ends with it, so that it works behind a
 * pooler in transaction mode. It ends by `commit`, by `abandon`, or when its signal is aborted; each gives the connection back.
 */
import type pg from 'pg';
import { type CopyToStreamQuery, to as copyTo } from 'pg-copy-streams';
import { joined } from '../../validation/joined.ts';
import { type Connection, type Database, NO_TIMEOUTS, NO_TRANSACTION_TIMEOUT, quoteTable } from './database.ts';
import { classifyPostgres } from './errors.ts';
import type { SourceWatch } from './source-watch.ts';

export interface ReadOptions {
  readonly signal: AbortSignal;
  /**
   * Table to lock (ACCESS SHARE) before the snapshot is taken: a table that ALTER TABLE rewrites in between would look empty to it.
   * https://www.postgresql.org/docs/current/mvcc-caveats.html
   */
  readonly lock: string | null;
  /** What the server must have. */
  readonly watch?: SourceWatch | undefined;
}

/** Text means the same whatever the defaults of the role and the database are. */
const TEXT_FORMATS = [
  `set local datestyle = 'ISO, YMD'`,
  `set local timezone = 'UTC'`,
  `set local intervalstyle = 'postgres'`,
  `set local extra_float_digits = 1`,
  `set local bytea_output = 'hex'`,
].join('; ');

/** The server notices a connection that was abandoned while it works, where its system can tell. */
const NOTICE_ABANDONED = `select set_config('client_connection_check_interval', '1000', true) where version() ~* 'linux|darwin|bsd|illumos'`;

/** Pieces are handed on when they have grown to this. */
const PIECE_BYTES = 64 * 1024;
/** What waits in memory for a slower reader. More costs time: each garbage collection copies what waits. */
const STREAM_BYTES = 128 * 1024;

export class ReadTransaction {
  readonly #client: Connection;
  readonly #label: string;
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.abandon();
  #open = true;
  #copy: CopyToStreamQuery | null = null;

  private constructor(client: Connection, label: string, signal: AbortSignal) {
    this.#client = client;
    this.#label = label;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  static async begin(database: Database, options: ReadOptions): Promise<ReadTransaction> {
    options.signal.throwIfAborted();
    const { watch } = options;
    const client = await database.connect(watch && ((session) => watch.unfit(session)));
    const transaction = new ReadTransaction(client, database.label, options.signal);
    if (options.signal.aborted) transaction.abandon();
    const lock = options.lock === null ? '' : `lock table ${quoteTable(options.lock)} in access share mode; `;
    await transaction.#asking(() =>
      client.query(
        `begin isolation level repeatable read, read only; set local lock_timeout = 10000; ${NO_TIMEOUTS}; ${TEXT_FORMATS}; ${lock}${NOTICE_ABANDONED}; ${NO_TRANSACTION_TIMEOUT}`,
      ),
    );
    return transaction;
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#asking(() => this.#client.query<Row>(text, values))).rows;
  }

  /** The columns that a query would give, without running it. */
  async fields(query: string): Promise<readonly pg.FieldDef[]> {
    return (await this.#asking(() => this.#client.query(`select * from (${query}\n) as query limit 0`))).fields;
  }

  /**
   * Runs a COPY ... TO STDOUT; gives its bytes in pieces of at least 64 KiB, but for the last. Rows are cut anywhere.
   * The server waits where the reader does. A reader that stops early ends the transaction.
   */
  async *copy(statement: string): AsyncGenerator<Buffer, void, void> {
    let complete = false;
    try {
      if (!this.#open) throw new Error('Connection terminated');
      this.#copy = this.#client.query(copyTo(statement, { highWaterMark: STREAM_BYTES }));
      // A connection that is closed while nobody reads any more must not end the process.
      this.#copy.on('error', () => {});
      let parts: Buffer[] = [];
      let bytes = 0;
      for await (const part of this.#copy as AsyncIterable<Buffer>) {
        parts.push(part);
        bytes += part.length;
        if (bytes < PIECE_BYTES) continue;
        yield joined(parts);
        parts = [];
        bytes = 0;
      }
      if (bytes > 0) yield joined(parts);
      complete = true;
    } catch (error) {
      throw this.#explain(error);
    } finally {
      if (!complete) this.abandon();
    }
  }

  /** Rows of the COPY, as the server counted them; known after the commit. */
  get rowsCopied(): number {
    return this.#copy?.rowCount ?? 0;
  }

  /** Rows of a query a page at a time, through a cursor. */
  async *pages<Row extends pg.QueryResultRow>(query: string, rows = 1_000): AsyncGenerator<Row[], void, void> {
    await this.query(`declare sluice_pages no scroll cursor for ${query}`);
    for (;;) {
      const page = await this.query<Row>(`fetch ${rows} from sluice_pages`);
      if (page.length > 0) yield page;
      if (page.length < rows) break;
    }
    await this.query('close sluice_pages');
  }

  async commit(): Promise<void> {
    await this.#asking(() => this.#client.query('commit'));
    this.#release();
  }

  /** Closes the connection, which ends what it does. Nothing after a commit. */
  abandon(): void {
    this.#release(true);
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      if (!this.#open) throw new Error('Connection terminated');
      return await ask();
    } catch (error) {
      this.abandon();
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    return this.#signal.aborted ? this.#signal.reason : classifyPostgres(error, this.#label);
  }

  #release(broken?: boolean): void {
    if (!this.#open) return;
    this.#open = false;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#client.release(broken);
  }
}

/** Runs `work` in a transaction that only reads. */
export async function reading<T>(database: Database, options: ReadOptions, work: (transaction: ReadTransaction) => Promise<T>): Promise<T> {
  const transaction = await ReadTransaction.begin(database, options);
  try {
    const result = await work(transaction);
    await transaction.commit();
    return result;
  } finally {
    transaction.abandon();
  }
}
