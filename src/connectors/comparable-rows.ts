/** Rows that can be compared with others by hashes that their own database computes. */

/** Number of rows and the sum of their record hashes: equal for equal rows in whatever order. */
export interface RowsDigest {
  readonly rows: number;
  readonly hashes: string;
}

/** A row by the hash of its key and that of all its columns; without a key both are the latter. */
export interface RowHash {
  readonly key: bigint;
  readonly record: bigint;
}

/** A row as text, by column. */
export interface ShownRow extends RowHash {
  readonly values: Readonly<Record<string, string | null>>;
}

/** One side of a comparison. All of it reads one snapshot. */
export interface ComparableRows {
  digest(): Promise<RowsDigest>;
  /** The digest of each bucket that has rows; rows are divided by the hash of their key. */
  buckets(count: number): Promise<Map<number, RowsDigest>>;
  /** The rows of some buckets in the order of (key, record), in pages. */
  hashes(buckets: readonly number[], count: number): AsyncIterable<readonly RowHash[]>;
  /** Rows with these hashes of the key, at most `limit`. */
  show(keys: readonly bigint[], limit: number): Promise<ShownRow[]>;
}

/** A side with what it holds open. */
export interface OpenRows extends ComparableRows {
  /** Equal on servers whose hashes can be compared. */
  readonly hashProbe: string;
  close(): void;
}
