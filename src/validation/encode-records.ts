/** The generic path of rows: records are parsed, judged, transformed and encoded one by one on their way into COPY. */
import { setImmediate } from 'node:timers/promises';
import { RejectedRows } from '../connectors/rejected-rows.ts';
import type { CopyChunk, RecordChunk, SourceRecord } from '../connectors/source.ts';
import type { ColumnAsGiven } from './columns-as-given.ts';
import { CopyPieces } from './copy-pieces.ts';
import type { RowEncoder } from './copy-text.ts';
import { numberText } from './number-text.ts';
import { reasonOfOutput, shorten } from './reasons.ts';
import type { RowParser } from './row-parser.ts';

/** A column of bigint for the position of each record in its partition. */
export const POSITION_COLUMN = '_sluice_position';

export interface EncodeOptions {
  /** The row schema; left out, values go to the encoder as the source gives them. */
  readonly parse?: RowParser | undefined;
  /** The row function. What it throws refuses the row; null drops it. */
  readonly transform?: ((row: Record<string, unknown>) => Record<string, unknown> | null) | undefined;
  /** The schema of what the row function gives: rows that it refuses are not stored, and what it makes of the others is. */
  readonly output?: RowParser | undefined;
  readonly encode: RowEncoder;
  /** Columns that are stored as they were received, though `parse` made a value of them. Not together with `transform`. */
  readonly asGiven?: readonly ColumnAsGiven[] | undefined;
  /** Every line begins with the record's position, for {@link POSITION_COLUMN}. */
  readonly withPosition: boolean;
  /** Columns that `encode` writes, in its order. */
  readonly columns: readonly string[];
}

/** A record and its line for COPY in text format, with the line end. */
export interface EncodedLine {
  readonly record: SourceRecord;
  readonly line: string;
}

/** What became of the records of a chunk. */
export interface EncodedEnd extends ReturnType<CopyChunk['end']> {
  /** Records that the source gave: encoded, rejected and filtered together. */
  readonly rowsRead: number;
  readonly rowsEncoded: number;
  /** Rows that the row function dropped. */
  readonly rowsFiltered: number;
}

export interface EncodedChunk extends CopyChunk {
  readonly format: 'text';
  end(): EncodedEnd;
}

/**
 * Characters of the lines that are written as bytes together. One by one costs calls; many are strings in the meantime, of some 20 parts a
 * row, which each garbage collection copies.
 */
const TOGETHER = 4096;
/** Heartbeats and other activities of the worker run on the same thread. */
const LONGEST_STRETCH_MS = 15;

/**
 * A chunk of records as bytes for `COPY ... FROM STDIN` in text format, in pieces of about 64 KiB. Records that do not pass are
 * collected with their bytes. Memory is bounded by one piece, one batch and the rejected rows.
 */
export function encodeRecords(chunk: RecordChunk, options: EncodeOptions, rejected = new RejectedRows()): EncodedChunk {
  const judge = new RecordJudge(options, rejected);
  let done = false;
  return {
    format: 'text',
    columns: options.withPosition ? [POSITION_COLUMN, ...options.columns] : options.columns,
    bytes: pieces(),
    end() {
      if (!done) throw new Error('end() is valid once bytes is exhausted');
      const { rowsRead, rowsEncoded, rowsFiltered } = judge;
      return { ...chunk.end(), rowsRead, rowsEncoded, rowsFiltered, rejected: rejected.rows };
    },
  };

  async function* pieces(): AsyncGenerator<Buffer> {
    const pause = pacemaker();
    const written = new CopyPieces();
    let lines = '';
    for await (const batch of chunk.batches) {
      for (const record of batch) {
        const line = judge.line(record);
        if (line === null) continue;
        lines += line;
        if (lines.length < TOGETHER) continue;
        written.write(lines);
        lines = '';
        if (written.isReady) yield written.take();
      }
      await pause();
    }
    written.write(lines);
    if (!written.isEmpty) yield written.take();
    done = true;
  }
}

/**
 * The same lines with their records, batch by batch, for copying with care: where the server refuses a line, its record is at hand.
 * @param rejected takes the records that do not pass
 */
export async function* encodedLines(
  chunk: RecordChunk,
  options: EncodeOptions,
  rejected: RejectedRows,
): AsyncGenerator<EncodedLine[], void> {
  const judge = new RecordJudge(options, rejected);
  const pause = pacemaker();
  for await (const batch of chunk.batches) {
    const lines: EncodedLine[] = [];
    for (const record of batch) {
      const line = judge.line(record);
      if (line !== null) lines.push({ record, line });
    }
    if (lines.length > 0) yield lines;
    await pause();
  }
}

/** Parses, transforms and encodes records one by one. */
export class RecordJudge {
  rowsRead = 0;
  rowsEncoded = 0;
  rowsFiltered = 0;
  readonly #rejected: RejectedRows;
  readonly #options: EncodeOptions;

  /** @param rejected takes the records that do not pass */
  constructor(options: EncodeOptions, rejected: RejectedRows) {
    this.#options = options;
    this.#rejected = rejected;
  }

  /** The record's line; null where it was rejected or dropped. */
  line(record: SourceRecord): string | null {
    const { parse, transform, output, encode, withPosition, asGiven } = this.#options;
    this.rowsRead++;
    if (record.problem || !record.values) {
      return this.#reject(record, record.problem?.column ?? null, record.problem?.reason ?? 'could not be read');
    }
    let row = record.values;
    if (parse) {
      const parsed = parse(row);
      if (!parsed.ok) return this.#reject(record, parsed.column, parsed.reason);
      row = parsed.row;
    }
    if (asGiven && parse) keepAsGiven(row as Record<string, unknown>, record.values, asGiven);
    if (transform) {
      // Without a row schema the values belong to the source, and a row function may change what it is given.
      const made = apply(transform, parse ? (row as Record<string, unknown>) : { ...row });
      if (typeof made === 'string') return this.#reject(record, null, made);
      if (made === null) {
        this.rowsFiltered++;
        return null;
      }
      const judged = output ? output(made) : null;
      if (judged && !judged.ok) return this.#reject(record, judged.column, reasonOfOutput(judged.reason));
      row = judged?.row ?? made;
    }
    const encoded = encode(row);
    if (!encoded.ok) return this.#reject(record, encoded.column, encoded.reason);
    this.rowsEncoded++;
    return withPosition ? `${numberText(record.position)}\t${encoded.line}` : encoded.line;
  }

  #reject(record: SourceRecord, column: string | null, reason: string): null {
    this.#rejected.add({ position: record.position, column, reason, record: record.bytes() });
    return null;
  }
}

function keepAsGiven(row: Record<string, unknown>, given: Readonly<Record<string, unknown>>, columns: readonly ColumnAsGiven[]): void {
  for (const { name, keep } of columns) {
    const kept = keep(given[name], row[name]);
    if (kept !== undefined) row[name] = kept;
  }
}

/** @returns the reason where the row function failed */
function apply(transform: NonNullable<EncodeOptions['transform']>, row: Record<string, unknown>): Record<string, unknown> | null | string {
  try {
    const made: unknown = transform(row);
    if (made === null) return null;
    if (typeof made !== 'object' || Array.isArray(made)) return 'row function: gave neither a row nor null';
    if (typeof (made as { then?: unknown }).then === 'function') {
      (made as Promise<unknown>).then(undefined, () => {});
      return 'row function: gave a promise; it must be synchronous';
    }
    return made as Record<string, unknown>;
  } catch (error) {
    return shorten(`row function: ${error instanceof Error ? error.message || error.name : String(error)}`);
  }
}

function pacemaker(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < LONGEST_STRETCH_MS) return;
    await setImmediate();
    last = performance.now();
  };
}
