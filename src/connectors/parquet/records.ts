/** The rows of a chunk one by one, with JavaScript's values. */
import type { DuckDBValue } from '@duckdb/node-api';
import type { ColumnType } from '../../validation/row-schema.ts';
import type { SourceRecord } from '../source.ts';
import { recordPosition } from './bounds.ts';
import { type Segment, whereSql } from './chunk.ts';
import { streamChunks } from './duckdb.ts';
import { columnRef } from './file-info.ts';
import type { Convert } from './record-values.ts';
import { readParquet } from './sql.ts';

export interface ReadRecord {
  readonly record: SourceRecord;
  /** Value of the expression asked for besides the columns. */
  readonly extra: DuckDBValue;
}

/**
 * Reads segments in batches of about 2,048 rows.
 * @param also a further expression and condition
 */
export async function* readSegments(
  segments: readonly Segment[],
  names: readonly string[],
  schema: readonly ColumnType[],
  signal: AbortSignal | null,
  also: { readonly select: string; readonly where: string } = { select: 'NULL', where: 'true' },
): AsyncGenerator<ReadRecord[]> {
  // It needs DuckDB's own classes (see duckdb.ts).
  const { converter, recordJson } = await import('./record-values.ts');
  for (const segment of segments) {
    // A column that the file lacks is not among the values.
    const present = names.filter((name) => segment.columns.typeOf(name) !== undefined);
    const refs = present.map((name) => columnRef(segment.columns, name)?.ref ?? 'NULL');
    const select = ['file_row_number', also.select, ...refs].join(', ');
    const sql = `SELECT ${select} FROM ${readParquet([segment.path])} WHERE ${whereSql(segment)} AND ${also.where}`;
    const converters: Convert[] = present.map((name) => {
      const type = segment.columns.typeOf(name);
      return type ? converter(type, schema.find((column) => column.name === name)?.type) : (value) => value;
    });
    for await (const chunk of streamChunks({ files: [segment.path], signal }, sql)) {
      const columns = chunk.getColumns();
      const [rows = [], extras = []] = columns;
      yield rows.map((row, index) => {
        const values: Record<string, unknown> = {};
        for (let column = 0; column < present.length; column++) {
          values[present[column] as string] = (converters[column] as Convert)(columns[column + 2]?.[index] ?? null);
        }
        return {
          record: {
            position: recordPosition(segment.fileIndex, Number(row)),
            values,
            bytes: () => recordJson(values),
          },
          extra: extras[index] ?? null,
        };
      });
    }
  }
}
