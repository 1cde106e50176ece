/** What the footer of a Parquet file says, read once for each version of a file. */
import { PermanentError } from '../../errors.ts';
import type { PlannedFile } from '../files.ts';
import { type QueryContext, queryRows } from './duckdb.ts';
import { quoteIdentifier, readParquet } from './sql.ts';
import { type DuckType, parseDuckType } from './types.ts';

export type Columns = ReadonlyMap<string, DuckType>;

/** Names by which DuckDB gives the place of a row; a column of such a name would hide it. */
const RESERVED = ['file_row_number', 'file_index'];
const CACHED_FILES = 1_000;

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
  const columns = new Map<string, DuckType>();
  for (const row of rows) {
    const name = String(row.column_name);
    if (RESERVED.includes(name.toLowerCase())) {
      throw new PermanentError(
        'UnsupportedColumn',
        `Column "${name}" of ${listFiles(paths)} has a name that stands for the place of a row. Rename it.`,
      );
    }
    columns.set(name, parseDuckType(String(row.column_type)));
  }
  return columns;
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

export function listFiles(paths: readonly string[]): string {
  return paths.length === 1 ? `"${paths[0]}"` : `${paths.length} files ("${paths[0]}", ...)`;
}

/** A column as an expression of SQL: NULL where the file lacks it. */
export function columnRef(columns: Columns, name: string): { readonly ref: string; readonly type: DuckType } | null {
  const type = columns.get(name);
  return type ? { ref: quoteIdentifier(name), type } : null;
}
