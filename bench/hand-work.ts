/** A piece of work as it is done by hand. */
export interface HandWork {
  /** What is copied: the answer to a COPY ... TO STDOUT on a database, or finished files one after the other. */
  readonly from: { readonly url: string; readonly copy: string } | { readonly files: readonly string[] };
  /** The database that it goes into. */
  readonly url: string;
  /** Statements before, the COPY ... FROM STDIN itself, and what follows, all on one connection. */
  readonly before: readonly string[];
  readonly copy: string;
  readonly after: readonly string[];
}
