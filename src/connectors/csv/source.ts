/** CSV files as a source. */
import type { PlannedFile } from '../files.ts';
import { rangesFrom, readBounds } from '../record-files/bounds.ts';
import { RecordCursor } from '../record-files/record-cursor.ts';
import type { RecordFormat } from '../record-files/record-format.ts';
import { RecordFileSource } from '../record-files/source.ts';
import type { CopyChunk, CopyDialect, CopyRequest, Source, Transfer, TransferRequest } from '../source.ts';
import type { CsvConfig } from './config.ts';
import { readCopyChunk } from './copy-chunk.ts';
import { copyDialect } from './copy-dialect.ts';
import { csvFormat } from './format.ts';

/** Rows are records of text: every value is a string or null. */
export function createCsvSource(config: CsvConfig): Source {
  return new CsvSource(config);
}

class CsvSource extends RecordFileSource {
  readonly #format: RecordFormat;
  readonly #dialect: CopyDialect | null;
  /** Columns of files, so that not each chunk begins with a look at the beginning of its file. */
  readonly #columns = new Map<string, readonly string[]>();

  constructor(config: CsvConfig) {
    const format = csvFormat(config);
    super('csv', config.files, format);
    this.#format = format;
    this.#dialect = copyDialect(config);
  }

  /** CSV for COPY, unless zod has to make values of what it is given, or has to see the whole row. */
  override async chooseTransfer(request: TransferRequest): Promise<Transfer> {
    const { rowSchema = null, schema, columns } = request;
    if (!this.#dialect || (schema.length > 0 && !rowSchema) || rowSchema?.uncompiled) return 'records';
    if (rowSchema?.columns.some(({ uncompiled }) => uncompiled !== null && !mayPassAsItIs(uncompiled))) return 'records';
    const description = await this.describe(new AbortController().signal);
    const read = new Set(description.columns.map((column) => column.name));
    for (const { name, notNull } of columns) {
      if (read.has(name)) continue;
      // No file has it, and it is not sent: it must be null.
      const column = rowSchema?.columns.find((each) => each.name === name);
      if (notNull || column?.uncompiled) return 'records';
    }
    return 'csv';
  }

  async readCopy(request: CopyRequest): Promise<CopyChunk> {
    if (!this.#dialect) throw new Error('COPY cannot be told to read these files as they are');
    const bounds = readBounds(request.partition.bounds);
    const first = bounds.files[rangesFrom(bounds, request.position)[0]?.[0] ?? 0];
    return readCopyChunk(this.#format, this.#dialect, first ? await this.#columnsOf(first) : [], request);
  }

  async #columnsOf(file: PlannedFile): Promise<readonly string[]> {
    const key = JSON.stringify([file.path, file.bytes, file.modifiedMs]);
    const known = this.#columns.get(key);
    if (known) return known;
    const cursor = await RecordCursor.open(file, this.#format);
    const { columns } = cursor.layout;
    await cursor.close();
    this.#columns.set(key, columns);
    return columns;
  }
}

/** What zod judges without changing the value. The others would be parsed and written anew, record by record. */
function mayPassAsItIs(uncompiled: string): boolean {
  return /^(?:format |length|refinement$|regular expression$|template literal$)/.test(uncompiled) || /^(?:min|max) date/.test(uncompiled);
}
