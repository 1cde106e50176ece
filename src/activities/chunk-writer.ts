/** Writes chunks of a partition into a table, in the transaction of the caller. Nothing is recorded. */
import { RECORD_VALUES } from '../connectors/index.ts';
import type { Connection } from '../connectors/postgres/database.ts';
import { isDataError } from '../connectors/postgres/errors.ts';
import { RejectedRows } from '../connectors/rejected-rows.ts';
import type { ChunkRequest, CopyChunk, PlannedPartition, RecordChunk, RejectedRow, Source } from '../connectors/source.ts';
import type { Json } from '../contracts/run.ts';
import { TransientError } from '../errors.ts';
import type { RunPlan } from '../ledger/run-plan.ts';
import type { RowsTable } from '../ledger/staging.ts';
import { type BoundPipeline, stagedSchema } from '../pipeline/definition.ts';
import { type EncodedLine, type EncodeOptions, encodedLines, encodeRecords, POSITION_COLUMN } from '../validation/encode-records.ts';
import { NULL_NOT_ALLOWED } from '../validation/reasons.ts';
import { recordEncoding } from '../validation/record-encoding.ts';
import type { ColumnType } from '../validation/row-schema.ts';
import type { ChunkLimit } from './chunk-size.ts';
import { copyIn } from './copy-in.ts';

export interface ChunkWriterOptions {
  readonly source: Source;
  readonly pipeline: BoundPipeline;
  readonly plan: RunPlan;
  readonly planned: PlannedPartition;
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const NOT_NULL_VIOLATION = '23502';

/** Rows of one savepoint when a chunk is copied carefully. */
const CAREFUL_ROWS = 500;

/** The bytes that the source gave are other rows to the server than to the source. */
export class MiscountedChunk extends TransientError {
  constructor(partition: string, given: number, written: number) {
    super('MiscountedChunk', `partition ${partition}: the source gave ${given} rows, and COPY wrote ${written}. Nothing was recorded.`);
  }
}

/** After this error of {@link ChunkWriter.write} the same chunk can be copied row by row, which tells the bad rows from the good. */
export function needsCare(error: unknown): boolean {
  return error instanceof MiscountedChunk || isDataError(error) || isDataError((error as Error).cause);
}

export class ChunkWriter {
  readonly #options: ChunkWriterOptions;
  readonly #table: RowsTable;
  #encode: EncodeOptions | undefined;

  constructor(table: RowsTable, options: ChunkWriterOptions) {
    this.#options = options;
    this.#table = table;
  }

  /**
   * The chunk that starts at `position`.
   *
   * @throws pg.DatabaseError (class 22 or 23) where the table refuses a value
   * @throws TooManyRejected where more rows are bad than the worker's memory should hold
   * @throws MiscountedChunk where the server has not written as many rows as the source has given
   */
  async write(client: Connection, position: Json, size: ChunkLimit): Promise<CopiedChunk> {
    const chunk = await this.#read(position, size);
    const staged = await copyIn(client, this.#table.name, chunk);
    const { rejected, rowsRead, position: next, last } = chunk.end();
    const isCounted = this.#options.plan.transfer !== 'records' && rowsRead !== null;
    if (isCounted && staged !== rowsRead - rejected.length) {
      throw new MiscountedChunk(this.#options.planned.name, rowsRead - rejected.length, staged);
    }
    return { staged, rejected, rowsRead: rowsRead ?? staged + rejected.length, position: next, last };
  }

  /** The same chunk row by row: what the table refuses is rejected with the server's reason. */
  async writeCarefully(client: Connection, position: Json, size: ChunkLimit): Promise<CopiedChunk> {
    const records = counted(await this.#options.source.readRecords(this.#request(position, size)));
    const rejected = new RejectedRows(size.maxRejectedBytes);
    const lines = encodedLines(records, this.#encoding(), rejected);
    let staged = 0;
    let pending: EncodedLine[] = [];
    const flush = async () => {
      const { refused, written } = await this.#copyWithSavepoints(client, pending);
      for (const row of refused) rejected.add(row);
      staged += written;
      pending = [];
    };
    for await (const batch of lines) {
      for (const line of batch) {
        pending.push(line);
        if (pending.length >= CAREFUL_ROWS) await flush();
      }
    }
    await flush();
    return { staged, rejected: rejected.rows, rowsRead: records.count(), ...records.end() };
  }

  async #read(position: Json, size: ChunkLimit): Promise<CopyChunk> {
    const { source, plan } = this.#options;
    if (plan.transfer !== 'records' && source.readCopy) {
      return await source.readCopy({
        ...this.#request(position, size),
        transfer: plan.transfer,
        rowSchema: this.#options.pipeline.row,
        withPosition: this.#table.marked,
        columns: plan.staged.filter((column) => plan.read.includes(column.name)),
      });
    }
    const records = await source.readRecords(this.#request(position, size));
    return encodeRecords(records, this.#encoding(), new RejectedRows(size.maxRejectedBytes));
  }

  #request(position: Json, { maxRows, maxRejectedBytes }: ChunkLimit): ChunkRequest & { readonly schema: readonly ColumnType[] } {
    const { plan, planned, pipeline } = this.#options;
    return {
      partition: planned,
      columns: plan.read,
      schema: pipeline.row?.columns ?? [],
      window: plan.window,
      position,
      maxRows,
      maxBytes: pipeline.chunk.bytes,
      maxMs: pipeline.chunk.ms,
      maxRejectedBytes,
      signal: new AbortController().signal,
    };
  }

  #encoding(): EncodeOptions {
    const { pipeline, plan } = this.#options;
    this.#encode ??= recordEncoding({
      schema: pipeline.row,
      staged: plan.staged,
      from: RECORD_VALUES[pipeline.source.kind],
      rowFunction: pipeline.rowFunction
        ? { transform: pipeline.rowFunction, schema: stagedSchema(pipeline), judged: pipeline.output !== null }
        : undefined,
      withPosition: this.#table.marked,
    });
    return this.#encode;
  }

  /** Writes lines under a savepoint; takes out the one that the server names, or halves until it is found. */
  async #copyWithSavepoints(client: Connection, lines: readonly EncodedLine[]): Promise<{ written: number; refused: RejectedRow[] }> {
    const refused: RejectedRow[] = [];
    const table = this.#table;
    const staged = this.#options.plan.staged.map((column) => column.name);
    const columns = table.marked ? [POSITION_COLUMN, ...staged] : staged;
    let rest = [...lines];
    while (rest.length > 0) {
      await client.query('savepoint careful');
      try {
        const written = await copyIn(client, table.name, {
          format: 'text',
          columns,
          bytes: [Buffer.from(rest.map((line) => line.line).join(''))],
        });
        // A trigger of the target may drop rows without a word.
        if (written !== rest.length) throw new MiscountedChunk(this.#options.planned.name, rest.length, written);
        await client.query('release savepoint careful');
        return { written, refused };
      } catch (error) {
        if (!isDataError(error)) throw error;
        await client.query('rollback to savepoint careful');
        const at = refusedLine(error.where);
        const bad = at === null ? undefined : rest[at];
        if (bad) {
          refused.push(refusedRow(bad, error, columns));
          rest = rest.filter((line) => line !== bad);
        } else if (rest.length === 1) {
          const [only] = rest;
          if (only) refused.push(refusedRow(only, error, columns));
          rest = [];
        } else {
          const half = Math.ceil(rest.length / 2);
          const first = await this.#copyWithSavepoints(client, rest.slice(0, half));
          const second = await this.#copyWithSavepoints(client, rest.slice(half));
          return { written: first.written + second.written, refused: [...refused, ...first.refused, ...second.refused] };
        }
      }
    }
    return { written: 0, refused };
  }
}

export interface CopiedChunk {
  readonly staged: number;
  readonly rowsRead: number;
  readonly rejected: readonly RejectedRow[];
  readonly position: Json;
  readonly last: boolean;
}

function counted(chunk: RecordChunk): RecordChunk & { count(): number } {
  let count = 0;
  return {
    batches: (async function* () {
      for await (const batch of chunk.batches) {
        count += batch.length;
        yield batch;
      }
    })(),
    end: () => chunk.end(),
    count: () => count,
  };
}

/** `COPY rows_1, line 17, column "amount": ...` names the line, from 1. */
function refusedLine(where: string | undefined): number | null {
  const line = /^COPY .*?, line (\d+)/.exec(where ?? '')?.[1];
  return line === undefined ? null : Number(line) - 1;
}

function refusedRow(
  line: EncodedLine,
  error: { message: string; code?: string | undefined; where?: string | undefined; column?: string | undefined },
  columns: readonly string[],
): RejectedRow {
  const column = error.column ?? refusedColumn(error.where, columns);
  if (error.code === NOT_NULL_VIOLATION)
    return { position: line.record.position, column, reason: NULL_NOT_ALLOWED, record: line.record.bytes() };
  // The value itself stays out of the reason, so that equal reasons can be counted.
  const reason = error.message.replace(/: ".*$/s, '').replace(/"[^"]*" (is out of range)/, '$1');
  return { position: line.record.position, column, reason, record: line.record.bytes() };
}

/** `..., line 17, column amount: "x"`: a name may hold colons itself, so the longest that fits is meant. */
function refusedColumn(where: string | undefined, columns: readonly string[]): string | null {
  const [, rest] = /^COPY .*?, line \d+, column (.*)/s.exec(where ?? '') ?? [];
  if (rest === undefined) return null;
  const named = columns.filter((name) => rest === name || rest.startsWith(`${name}: `));
  return named.sort((a, b) => b.length - a.length)[0] ?? null;
}
