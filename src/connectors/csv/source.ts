/** CSV files as a source. */
import type { PlannedFile } from '../files.ts';
import { NeedsRecords } from '../needs-records.ts';
import { rangesFrom, readBounds } from '../record-files/bounds.ts';
import { RecordCursor } from '../record-files/record-cursor.ts';
import type { RecordFormat } from '../record-files/record-format.ts';
import { RecordFileSource } from '../record-files/source.ts';
import type { CopyChunk, CopyDialect, CopyRequest, Source, TransferChoice, TransferRequest } from '../source.ts';
import type { CsvConfig } from './config.ts';
import { readCopyChunk } from './copy-chunk.ts';
import { copyDialect } from './copy-dialect.ts';
import { type FieldLook, lookAtFields } from './field-looks.ts';
import { csvFormat } from './format.ts';

/** Rows are records of text: every value is a string or null. */
export function createCsvSource(config: CsvConfig): Source {
  return new CsvSource(config);
}

class CsvSource extends RecordFileSource {
  readonly #format: RecordFormat;
  readonly #dialect: CopyDialect | NeedsRecords;
  /** Columns of files, so that not each chunk begins with a look at the beginning of its file. */
  readonly #columns = new Map<string, readonly string[]>();

  constructor(config: CsvConfig) {
    const format = csvFormat(config);
    super('csv', config.files, format);
    this.#format = format;
    this.#dialect = copyDialect(config);
  }

  /** CSV for COPY, unless zod has to make values of what it is given, or has to see the whole row. */
  override async chooseTransfer(request: TransferRequest): Promise<TransferChoice> {
    const { rowSchema = null, schema, columns } = request;
    const because = await this.#whyRecords(request);
    if (because !== null) return { transfer: 'records', because, checked: schema.map((column) => column.name) };
    const looks = lookAtFields(columns, rowSchema);
    const checked = schema.map((column) => column.name).filter((name) => isLookedAt(looks.get(name)));
    return { transfer: 'csv', because: null, checked };
  }

  async #whyRecords({ columns, rowSchema = null, schema }: TransferRequest): Promise<string | null> {
    if (this.#dialect instanceof NeedsRecords) return this.#dialect.because;
    if (schema.length > 0 && !rowSchema) return 'the row schema itself is not at hand';
    if (rowSchema?.uncompiled) return `the row schema as a whole: ${rowSchema.uncompiled}`;
    for (const { name, uncompiled } of rowSchema?.columns ?? []) {
      if (uncompiled !== null && !mayPassAsItIs(uncompiled)) return `column "${name}": ${uncompiled} may change the value`;
    }
    const description = await this.describe(new AbortController().signal);
    const read = new Set(description.columns.map((column) => column.name));
    for (const { name, notNull } of columns) {
      if (read.has(name)) continue;
      // It is not sent: it must be null.
      const uncompiled = rowSchema?.columns.find((each) => each.name === name)?.uncompiled;
      if (uncompiled) return `column "${name}": no file has it, and zod has to say what then (${uncompiled})`;
      if (notNull) return `column "${name}": no file has it, and it must not be null`;
    }
    return null;
  }

  async readCopy(request: CopyRequest): Promise<CopyChunk> {
    if (this.#dialect instanceof NeedsRecords) throw new Error(`COPY cannot read these files as they are: ${this.#dialect.because}`);
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

/** There are values that would not pass, so that each is looked at. */
function isLookedAt(field: FieldLook | undefined): boolean {
  return field !== undefined && (field.look !== null || !field.nullPasses);
}

/** What zod judges without changing the value. The others would be parsed and written anew, record by record. */
function mayPassAsItIs(uncompiled: string): boolean {
  return /^(?:format |length|refinement$|regular expression$|template literal$)/.test(uncompiled) || /^(?:min|max) date/.test(uncompiled);
}
