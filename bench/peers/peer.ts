/** Other programs that do the same work, and what they are told of it. */

export const PEERS = ['dlt', 'pgloader'] as const;
export type PeerName = (typeof PEERS)[number];

/** A load of the orders, for a program other than Sluice. */
export interface PeerWork {
  readonly source:
    | { readonly kind: 'postgres'; readonly table: string }
    | { readonly kind: 'csv' | 'jsonl' | 'parquet'; readonly files: readonly string[] };
  /** create: the table is missing, and has its primary key in the end. */
  readonly mode: 'create' | 'append' | 'upsert';
  /** A SELECT, in the bench's target database, of the rows that the table has already. */
  readonly before?: string;
  /** Every row goes through a function of the program's own language. */
  readonly rowFunction?: boolean;
}

/** A program that has been found and can be run. */
export interface Peer {
  readonly name: PeerName;
  /** With its version, for people. */
  readonly title: string;
  /** Brings the table to where the measurement begins; gives the work itself, and where it will have put the rows. */
  prepare(work: PeerWork, at: PeerPlace): Promise<{ readonly table: string; run(): Promise<void> }>;
}

/** Where a program works. */
export interface PeerPlace {
  /** Database of the source. */
  readonly source: string;
  /** Database that it loads to: the peers' own, on the same server. */
  readonly target: string;
  /** A fresh folder. */
  readonly folder: string;
  /** Fills a table of the peers' database with the rows that the work begins with. */
  fill(table: string): Promise<void>;
}
