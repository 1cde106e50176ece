/** Files of records as a source; CSV and JSON lines differ only in their format. */
import { PermanentError } from '../../errors.ts';
import { findFiles, type PlannedFile, requireUnchanged } from '../files.ts';
import type {
  ChunkRequest,
  PlannedPartition,
  PlanRequest,
  RecordChunk,
  Source,
  SourceColumn,
  SourceDescription,
  SourceTotals,
  TotalsRequest,
  TransferChoice,
  TransferRequest,
} from '../source.ts';
import { readBounds, unpackPosition } from './bounds.ts';
import { planFiles } from './plan-partitions.ts';
import { readChunk, readRecordsAt } from './read-chunk.ts';
import { RecordCursor } from './record-cursor.ts';
import type { RecordFormat } from './record-format.ts';
import { sourceTotals } from './totals.ts';

export class RecordFileSource implements Source {
  readonly kind: string;
  readonly #pattern: string | readonly string[];
  readonly #format: RecordFormat;

  constructor(kind: string, pattern: string | readonly string[], format: RecordFormat) {
    this.kind = kind;
    this.#pattern = pattern;
    this.#format = format;
  }

  /** The columns of all files, in the order in which they first appear. */
  async describe(signal: AbortSignal): Promise<SourceDescription> {
    const files = await findFiles(this.#pattern);
    const names = new Set<string>();
    for (const file of files) {
      signal.throwIfAborted();
      for (const name of await this.#columnsOf(file)) names.add(name);
    }
    const pattern = typeof this.#pattern === 'string' ? this.#pattern : this.#pattern.join(', ');
    return {
      label: `${pattern} (${files.length === 1 ? '1 file' : `${files.length} files`})`,
      columns: [...names].map((name): SourceColumn => ({ name, sqlType: null, nullable: true })),
      sampled: this.#format.sampledRecords !== undefined,
      key: [],
    };
  }

  async *plan(request: PlanRequest): AsyncGenerator<PlannedPartition> {
    if (request.window) throw new PermanentError('InvalidDefinition', `A ${this.kind} source has no cursor to go on from.`);
    yield* planFiles(await findFiles(this.#pattern), this.#format, request.partitioning, request.signal);
  }

  async chooseTransfer({ schema }: TransferRequest): Promise<TransferChoice> {
    const because = `COPY does not read ${this.kind}: each record is parsed and written anew`;
    return { transfer: 'records', because, checked: schema.map((column) => column.name) };
  }

  async verify(partition: PlannedPartition): Promise<void> {
    await requireUnchanged(readBounds(partition.bounds).files);
  }

  async readRecords(request: ChunkRequest): Promise<RecordChunk> {
    return readChunk(this.#format, request);
  }

  async readAt(partition: PlannedPartition, positions: readonly number[]): Promise<Map<number, Buffer>> {
    const places = positions.map((position) => ({ position, ...unpackPosition(position) }));
    return await readRecordsAt(this.#format, readBounds(partition.bounds), places);
  }

  async totals(request: TotalsRequest): Promise<SourceTotals> {
    return await sourceTotals(this.#format, request);
  }

  /** Nothing stays open between calls. */
  async close(): Promise<void> {}

  async #columnsOf(file: PlannedFile): Promise<readonly string[]> {
    const cursor = await RecordCursor.open(file, this.#format);
    try {
      if (this.#format.sampledRecords === undefined) return cursor.layout.columns;
      const names = new Set<string>();
      for (let sampled = 0; sampled < this.#format.sampledRecords; ) {
        const record = cursor.next(file.bytes);
        if (record === null) break;
        if (record === undefined) {
          await cursor.fill();
          continue;
        }
        sampled++;
        for (const name of Object.keys(record.values ?? {})) names.add(name);
      }
      return [...names];
    } finally {
      await cursor.close();
    }
  }
}
