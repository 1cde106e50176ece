/** What the footer of a Parquet file says, read once for each version of a file. */
import { PermanentError } from '../../errors.ts';
import type { PlannedFile } from '../files.ts';
import { type QueryContext, queryRows } from './duckdb.ts';
import { quoteIdentifier, quoteLiteral, readParquet } from './sql.ts';
import { type DuckType, parseDuckType } from './types.ts';

/**
 * Columns with their types. For DuckDB, and so here, names that differ only in the case of A to Z are one column: files may write it either
 * way.
 */
export class Columns {
  /** As the files write them. */
  readonly names: readonly string[];
  readonly #types: ReadonlyMap<string, DuckType>;

  constructor(columns: readonly (readonly [name: string, type: DuckType])[]) {
    this.names = columns.map(([name]) => name);
    this.#types = new Map(columns.map(([name, type]) => [inLowerCase(name), type]));
  }

  /** The type of a column; undefined where there is none of this name. */
  typeOf(name: string): DuckType | undefined {
    return this.#types.get(inLowerCase(name));
  }
}

const inLowerCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** Names by which DuckDB gives the place of a row; a column of such a name would hide it. */
const RESERVED = ['file_row_number', 'file_index'];
const CACHED_FILES = 1_000;
/** At least this is counted for a row: dictionaries make columns smaller than their values are. */
const LEAST_ROW_BYTES = 64;

const known = new Map<string, Promise<Columns>>();

/** The columns of one file with their types. */
export async function fileColumns(file: PlannedFile): Promise<Columns> {
  const key = `${file.path}\0${file.bytes}\0${file.modifiedMs}`;
  const found = known.get(key);
  if (found) return await found;
  // Shared by all who ask, so that nobody's signal may end it.
  const reading = describeColumns([file.path], null);
  if (known.size >= CACHED_FILES) known.clear();
  known.set(key, reading);
  reading.catch(() => known.delete(key));
  return await reading;
}

/** The columns of all of these files, each with a type that holds what every file has in it. */
export async function describeColumns(paths: readonly string[], signal: AbortSignal | null): Promise<Columns> {
  const rows = await queryRows({ files: paths, signal }, `DESCRIBE SELECT * FROM ${readParquet(paths)}`);
  const columns = rows.map((row): [string, DuckType] => {
    const name = String(row.column_name);
    if (RESERVED.includes(name.toLowerCase())) {
      throw new PermanentError(
        'UnsupportedColumn',
        `Column "${name}" of ${listFiles(paths)} has a name that stands for the place of a row. Rename it.`,
      );
    }
    return [name, parseDuckType(String(row.column_type))];
  });
  return new Columns(columns);
}

/** Number of rows of each file, from the footers. */
export async function countRows(paths: readonly string[], signal: AbortSignal | null): Promise<number[]> {
  const counts: number[] = [];
  for (const path of paths) {
    // One by one, so that a broken file is named.
    const context: QueryContext = { files: [path], signal };
    const [row] = await queryRows(context, `SELECT count(*) AS n FROM ${readParquet([path])}`);
    counts.push(Number(row?.n ?? 0));
  }
  return counts;
}

/** Rows of a file, numbered from 0: from the first to one behind the last. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Divides a file between row groups, which are read as a whole anyway.
 * @param size bytes of a part at most, about, as they are when read: a compressed file is smaller
 */
export async function divideRowGroups(path: string, size: number, signal: AbortSignal | null): Promise<RowRange[]> {
  const groups = await queryRows(
    { files: [path], signal },
    `SELECT any_value(row_group_num_rows)::DOUBLE AS n, greatest(sum(total_uncompressed_size), any_value(row_group_num_rows) * ${LEAST_ROW_BYTES})::DOUBLE AS bytes
     FROM parquet_metadata(${quoteLiteral(path)}) GROUP BY row_group_id ORDER BY row_group_id`,
  );
  const total = groups.reduce((sum, group) => sum + Number(group.bytes), 0);
  const share = total / Math.max(1, Math.ceil(total / size));
  const parts: RowRange[] = [];
  let [from, to, bytes] = [0, 0, 0];
  for (const group of groups) {
    to += Number(group.n);
    bytes += Number(group.bytes);
    // A part ends where its share is full, so that all are about equal.
    if (bytes < share * (parts.length + 1) * (1 - Number.EPSILON)) continue;
    parts.push({ from, to });
    from = to;
  }
  if (from < to || parts.length === 0) parts.push({ from, to });
  return parts;
}

export function listFiles(paths: readonly string[]): string {
  return paths.length === 1 ? `"${paths[0]}"` : `${paths.length} files ("${paths[0]}", ...)`;
}

/** A column as an expression of SQL: NULL where the file lacks it. */
export function columnRef(columns: Columns, name: string): { readonly ref: string; readonly type: DuckType } | null {
  const type = columns.typeOf(name);
  return type ? { ref: quoteIdentifier(name), type } : null;
}
