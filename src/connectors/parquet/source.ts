/** Parquet files as a source, read by DuckDB in this process. */
import type { ColumnType } from '../../validation/row-schema.ts';
import { findFiles, type PlannedFile, requireUnchanged } from '../files.ts';
import { NeedsRecords } from '../needs-records.ts';
import type {
  ChunkRequest,
  CopyChunk,
  PlannedPartition,
  PlanRequest,
  RecordChunk,
  Source,
  SourceDescription,
  SourceRecord,
  SourceTotals,
  TotalsRequest,
  TransferChoice,
  TransferRequest,
} from '../source.ts';
import { boundsOf, placeOfRecord, positionOf } from './bounds.ts';
import { type Cut, cutChunk } from './chunk.ts';
import type { ParquetConfig } from './config.ts';
import { copyChunk } from './copy.ts';
import { describeColumns, fileColumns } from './file-info.ts';
import { planPartitions } from './plan.ts';
import { readSegments } from './records.ts';
import { rowSql } from './row-sql.ts';
import { sourceTotals } from './totals.ts';

/**
 * A source of Parquet files.
 *
 * Everything is found by file and row number, which stay the same for as long as the file does: any worker reads the same chunk
 * from the same position. Times without a zone are UTC.
 *
 * @param options.binary copy what has a simple binary form as such; without it everything is CSV, to compare the two. @default true
 */
export function createParquetSource(config: ParquetConfig, options: { readonly binary?: boolean } = {}): Source {
  return new ParquetSource(config, options.binary ?? true);
}

type CopyRequest = Omit<ChunkRequest, 'columns'> & TransferRequest;

class ParquetSource implements Source {
  readonly kind = 'parquet';
  readonly #config: ParquetConfig;
  readonly #binary: boolean;
  #files: Promise<PlannedFile[]> | undefined;

  constructor(config: ParquetConfig, binary: boolean) {
    this.#config = config;
    this.#binary = binary;
  }

  async describe(signal: AbortSignal): Promise<SourceDescription> {
    const files = await this.#findFiles();
    const columns = await describeColumns(
      files.map(({ path }) => path),
      signal,
    );
    const pattern = [this.#config.files].flat().join(', ');
    return {
      label: `${pattern} (${files.length} ${files.length === 1 ? 'file' : 'files'})`,
      columns: columns.names.map((name) => ({ name, sqlType: columns.typeOf(name)?.postgres ?? null, nullable: true })),
      key: [],
    };
  }

  async *plan(request: PlanRequest): AsyncGenerator<PlannedPartition> {
    yield* planPartitions(await this.#findFiles(), request.partitioning, request.signal);
  }

  async chooseTransfer(request: TransferRequest): Promise<TransferChoice> {
    const checked = new Set<string>();
    for (const file of await this.#findFiles()) {
      const row = rowSql(request, await fileColumns(file));
      if (row instanceof NeedsRecords) {
        return { transfer: 'records', because: row.because, checked: request.schema.map((column) => column.name) };
      }
      for (const { column } of row.faults) checked.add(column);
    }
    return { transfer: 'csv', because: null, checked: [...checked] };
  }

  async verify(partition: PlannedPartition): Promise<void> {
    await requireUnchanged(boundsOf(partition).files);
  }

  /** With a schema, decimals come as the numbers that it wants; without one, as text. */
  async readRecords(request: ChunkRequest & { readonly schema?: readonly ColumnType[] }): Promise<RecordChunk> {
    const cut = await this.#cut(request, request.columns);
    const batches = readSegments(cut.segments, request.columns, request.schema ?? [], request.signal);
    return { batches: recordsOf(batches), end: () => cut.end };
  }

  async readCopy(request: CopyRequest): Promise<CopyChunk> {
    const names = request.columns.map(({ name }) => name);
    return copyChunk(await this.#cut(request, names), { ...request, binary: this.#binary });
  }

  async totals(request: TotalsRequest): Promise<SourceTotals> {
    return await sourceTotals(request);
  }

  async readAt(partition: PlannedPartition, positions: readonly number[]): Promise<Map<number, Buffer>> {
    const byFile = new Map<number, number[]>();
    for (const position of positions) {
      const { file, row } = placeOfRecord(position);
      byFile.set(file, [...(byFile.get(file) ?? []), row]);
    }
    const found = new Map<number, Buffer>();
    for (const [fileIndex, rows] of byFile) {
      const file = boundsOf(partition).files[fileIndex];
      if (!file) continue;
      const columns = await fileColumns(file);
      const filter = `file_row_number IN (${rows.join(', ')})`;
      const segment = {
        fileIndex,
        path: file.path,
        columns,
        from: Math.min(...rows),
        to: Math.max(...rows) + 1,
        filter,
        rows: rows.length,
      };
      for await (const batch of readSegments([segment], columns.names, [], null)) {
        for (const { record } of batch) found.set(record.position, record.bytes());
      }
    }
    return found;
  }

  /** The process' DuckDB stays: other sources use it. */
  async close(): Promise<void> {}

  async #cut(request: Omit<ChunkRequest, 'columns'>, columns: readonly string[]): Promise<Cut> {
    const { partition, position, maxRows, maxBytes, signal } = request;
    return await cutChunk({
      bounds: boundsOf(partition),
      filter: partition.filter,
      columns,
      position: positionOf(position),
      maxRows,
      maxBytes,
      signal,
    });
  }

  async #findFiles(): Promise<PlannedFile[]> {
    this.#files ??= findFiles(this.#config.files).catch((error) => {
      this.#files = undefined;
      throw error;
    });
    return await this.#files;
  }
}

async function* recordsOf(batches: AsyncIterable<readonly { readonly record: SourceRecord }[]>): AsyncGenerator<SourceRecord[]> {
  for await (const batch of batches) yield batch.map(({ record }) => record);
}
