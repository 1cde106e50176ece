/**
 * What a source can do. One folder for each system implements this; the registry (`connectors/index.ts`) knows them by kind.
 *
 * A source is asked to `describe` and `plan` once a run, and then, on any worker and as often as it takes, to read the next
 * chunk of a partition from a position. All of it only reads and may be called any number of times.
 */
import type { Json } from '../contracts/run.ts';
import type { ColumnType, RowSchema } from '../validation/row-schema.ts';
import type { OpenRows } from './comparable-rows.ts';

/** A column as the source has it. */
export interface SourceColumn {
  readonly name: string;
  /** PostgreSQL's name of the type as `format_type` writes it, where the source knows; null for untyped text (CSV, JSONL). */
  readonly sqlType: string | null;
  readonly nullable: boolean;
}

/** What a source says of itself when a run is planned. */
export interface SourceDescription {
  /** For people, without secrets: `postgres://host/db table orders`, `data/*.csv (3 files)`. */
  readonly label: string;
  readonly columns: readonly SourceColumn[];
  /** The columns are those of a sample: there may be more further on. */
  readonly sampled?: boolean;
  /** Columns of the key by which the source can be read in order; empty where there is none. */
  readonly key: readonly string[];
  /** The system itself keeps that key unique and not null, and rows are read in its order. */
  readonly keyIsUnique?: boolean;
}

/** How the rows of a run are divided. Made by the functions of `pipeline/partition-by.ts`. */
export type Partitioning =
  | { readonly by: 'none' }
  | { readonly by: 'file' }
  /** Files of records, those larger than `size` bytes in several partitions. */
  | { readonly by: 'bytes'; readonly size: number }
  | {
      readonly by: 'date';
      readonly unit: 'day' | 'month' | 'year';
      readonly column: string;
      /** First instant, inclusive, ISO 8601; from the data when left out. */
      readonly from?: string | undefined;
      /** Last instant, exclusive. */
      readonly to?: string | undefined;
    }
  | { readonly by: 'value'; readonly column: string; readonly values?: readonly (string | null)[] | undefined }
  | { readonly by: 'range'; readonly column: string; readonly rows: number };

/** A condition on one column that tells the rows of a partition apart; used to read the partition and to replace it. */
export type PartitionFilter =
  | { readonly kind: 'all' }
  /** `from <= column < to`, values as text in PostgreSQL's input format; null is an open end. */
  | { readonly kind: 'between'; readonly column: string; readonly from: string | null; readonly to: string | null }
  /** `column is not distinct from value`. */
  | { readonly kind: 'equals'; readonly column: string; readonly value: string | null }
  /** No row: the partition only has records that cannot be judged, which all go to quarantine. */
  | { readonly kind: 'none' };

/** A partition as planned: data only, frozen in the ledger. */
export interface PlannedPartition {
  readonly name: string;
  readonly filter: PartitionFilter;
  /** What the source itself needs to find the rows again: files with size and time, row groups, byte ranges. */
  readonly bounds: Json;
  /** About, for those who watch; null where it is not known. */
  readonly rowsExpected: number | null;
}

/** What an incremental run reads: rows after `low` and not after `high`, in the order of (cursor, key). */
export interface CursorWindow {
  readonly cursor: string;
  readonly key: readonly string[];
  /** (cursor, key...) of the last row committed, as text; null at the first run. */
  readonly low: readonly string[] | null;
  /** (cursor, key...) of the last row of this run, as text; null where there is nothing to read. */
  readonly high: readonly string[] | null;
}

export interface PlanRequest {
  readonly partitioning: Partitioning;
  /** Columns that are read. */
  readonly columns: readonly string[];
  readonly window: CursorWindow | null;
  readonly signal: AbortSignal;
}

/** Where a chunk ended. */
export interface ChunkEnd {
  /** Where the next chunk starts; opaque to all but the source. */
  readonly position: Json;
  /** There is nothing after this chunk. */
  readonly last: boolean;
}

export interface ChunkRequest {
  readonly partition: PlannedPartition;
  readonly columns: readonly string[];
  readonly window: CursorWindow | null;
  /** Where the last recorded chunk ended; null at the start of the partition. */
  readonly position: Json;
  /** A chunk ends at the first of these that it reaches. */
  readonly maxRows: number;
  readonly maxBytes: number;
  /** How long reading may take, in milliseconds, about; at least one row is read. No limit where left out. */
  readonly maxMs?: number | undefined;
  /** What its bad rows may take of the worker's memory; the chunk fails with {@link TooManyRejected} beyond. No limit where left out. */
  readonly maxRejectedBytes?: number | undefined;
  readonly signal: AbortSignal;
}

/** One row as received, before anything is known of it. */
export interface SourceRecord {
  /** Order within the partition: byte offset, row number; unique within the partition. */
  readonly position: number;
  /** The record's bytes as received (for typed sources: the row as JSON). Called only for rows that go to quarantine. */
  bytes(): Buffer;
  /** The values by column; absent where the record could not be taken apart at all. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** Why the record could not be taken apart. */
  readonly problem?: { readonly column: string | null; readonly reason: string };
}

/** A row that does not go to staging. */
export interface RejectedRow {
  readonly position: number;
  readonly column: string | null;
  readonly reason: string;
  readonly record: Buffer;
}

/** A chunk as records, for what must be looked at row by row. */
export interface RecordChunk {
  readonly batches: AsyncIterable<readonly SourceRecord[]>;
  /** Valid once `batches` is exhausted. */
  end(): ChunkEnd;
}

/** How CSV for COPY is written, where it is not as COPY expects it by default. */
export interface CopyDialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly nullText: string;
}

/** A chunk as bytes that `COPY ... FROM STDIN` takes as they are. */
export interface CopyChunk {
  readonly format: 'binary' | 'text' | 'csv';
  /** Only with format `csv`. @default comma, double quotes, an unquoted empty field for null */
  readonly dialect?: CopyDialect | undefined;
  /** Columns of the bytes, in their order; may begin with `_sluice_position` (bigint). */
  readonly columns: readonly string[];
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Valid once `bytes` is exhausted. */
  end(): ChunkEnd & { readonly rowsRead: number | null; readonly rejected: readonly RejectedRow[] };
}

/** How the rows of a source travel to staging; chosen by the plan. */
export type Transfer = 'binary' | 'text' | 'csv' | 'records';

/** What the plan asks of a source to choose the transfer. */
export interface TransferRequest {
  /** Columns that are read, with the type that staging has for each, and what the target says of them. */
  readonly columns: readonly {
    readonly name: string;
    readonly sqlType: string;
    readonly notNull?: boolean;
    readonly enumLabels?: readonly string[] | null;
  }[];
  /** The row schema's columns; empty without one. */
  readonly schema: readonly ColumnType[];
  /** The row schema itself, for sources whose values only zod can judge. */
  readonly rowSchema?: RowSchema | null | undefined;
}

/** How a transfer was chosen, for people. */
export interface TransferChoice {
  readonly transfer: Transfer;
  /** Why the rows do not travel faster; null where this is the fastest way there is. */
  readonly because: string | null;
  /** Columns of the row schema that are looked at on the way; the types of the others say all. */
  readonly checked: readonly string[];
}

/** The next chunk as bytes for COPY, with the columns as staging has them and the checks to apply on the way. */
export interface CopyRequest extends Omit<ChunkRequest, 'columns'>, TransferRequest {
  readonly transfer: Transfer;
  /** The rows go where there is a column `_sluice_position`: a source that numbers its records gives it first. @default true */
  readonly withPosition?: boolean | undefined;
}

export interface TotalsRequest {
  readonly partitions: readonly PlannedPartition[];
  /** Where their last chunks ended: what is asked must have got as far. */
  readonly ends: readonly Json[];
  /** Columns to add up, of types that add up exactly: integers, numeric. */
  readonly columns: readonly string[];
  /** The positions of records in quarantine, of the partition at this place of `partitions`; for sources that have to leave them out. */
  readonly quarantined: (nth: number) => Promise<ReadonlySet<number>>;
  readonly window: CursorWindow | null;
  readonly signal: AbortSignal;
}

/** What the source has in some partitions, at the moment. */
export interface SourceTotals {
  readonly rows: number;
  /** The sum of each column asked for, in their order, as PostgreSQL's text of a number; null where there is no value. */
  readonly sums: readonly (string | null)[];
  /** What is in the sums: all rows, or those that are not in quarantine. */
  readonly of: 'all' | 'staged';
}

/** What of a source is compared, and the types that staging has for it. */
export interface OpenRowsRequest {
  /** In the order of the other side; those that are not read are null. */
  readonly columns: readonly { readonly name: string; readonly sqlType: string; readonly read: boolean }[];
  /** Columns that tell a row apart; empty where there are none. */
  readonly key: readonly string[];
  readonly filters: readonly PartitionFilter[];
  readonly window: CursorWindow | null;
  readonly signal: AbortSignal;
}

export interface Source {
  readonly kind: string;
  /** @throws PermanentError where the source, table or file is not there or may not be read. */
  describe(signal: AbortSignal): Promise<SourceDescription>;
  /** Divides the rows. Large plans come in pieces. */
  plan(request: PlanRequest): AsyncIterable<PlannedPartition>;
  /** The fastest way in which this source can give the rows so that the row schema's verdict on each is kept. */
  chooseTransfer(request: TransferRequest): Promise<TransferChoice>;
  /**
   * Checks that what the partition was planned on is still there (size and time of files, history of a server).
   * @throws PermanentError `SourceChanged`
   */
  verify(partition: PlannedPartition, signal: AbortSignal): Promise<void>;
  /**
   * Checks that the source still has what was read, given where the last chunks of partitions ended: a server may have been replaced by one that
   * had not got all of it. May be called any number of times.
   * @throws PermanentError `SourceRewound`; TransientError where the source cannot say
   */
  stillHas?(ends: readonly Json[]): Promise<void>;
  /** The next chunk row by row. Every source can do this. */
  readRecords(request: ChunkRequest & { readonly schema?: readonly ColumnType[] }): Promise<RecordChunk>;
  /** The next chunk as bytes for COPY; only for transfers other than `records`. Checks of `schema` are applied on the way. */
  readCopy?(request: CopyRequest): Promise<CopyChunk>;
  /** Records at these positions of a partition, as received, for the quarantine of duplicates found later. */
  readAt?(partition: PlannedPartition, positions: readonly number[]): Promise<Map<number, Buffer>>;
  /** Counts the rows of these partitions and adds columns up, as the source is now. */
  totals(request: TotalsRequest): Promise<SourceTotals>;
  /** For incremental pipelines: the window of the next run after `low`. Stops below the oldest transaction still open. */
  nextWindow?(
    cursor: string,
    key: readonly string[],
    low: readonly string[] | null,
    lag: string | null,
    signal: AbortSignal,
  ): Promise<CursorWindow>;
  /**
   * The rows of partitions hashed by the source's own database, as staging would hold them; only for the transfer `binary`, where no row
   * is refused on the way. The caller closes them.
   */
  openRows?(request: OpenRowsRequest): Promise<OpenRows>;
  /** Releases connections and files. May be called twice. */
  close(): Promise<void>;
}
