/** Counts and sums of the rows of some partitions, made by DuckDB. A file is read once, however many partitions are in it. */
import { ExactSum } from '../../validation/exact-sum.ts';
import { requireUnchanged } from '../files.ts';
import type { SourceTotals, TotalsRequest } from '../source.ts';
import { boundsOf, type FileBounds } from './bounds.ts';
import { condition, whereSql } from './chunk.ts';
import { queryRows } from './duckdb.ts';
import { type Columns, columnRef, fileColumns } from './file-info.ts';
import { readParquet } from './sql.ts';

export async function sourceTotals({ partitions, columns, signal }: TotalsRequest): Promise<SourceTotals> {
  const byFile = new Map<string, { file: FileBounds; columns: Columns; conditions: string[] }>();
  for (const partition of partitions) {
    for (const file of boundsOf(partition).files) {
      const found = byFile.get(file.path) ?? { file, columns: await fileColumns(file), conditions: [] };
      byFile.set(file.path, found);
      const { from, to } = file;
      found.conditions.push(`(${whereSql({ from, to, filter: condition(partition, file, found.columns) })})`);
    }
  }
  await requireUnchanged([...byFile.values()].map(({ file }) => file));
  let rows = 0;
  const sums = columns.map(() => new ExactSum());
  for (const { file, columns: has, conditions } of byFile.values()) {
    const select = columns.map((name, index) => `, sum(${columnRef(has, name)?.ref ?? 'NULL::BIGINT'})::VARCHAR AS s${index}`).join('');
    const [row] = await queryRows(
      { files: [file.path], signal },
      `SELECT count(*) AS n${select} FROM ${readParquet([file.path])} WHERE ${conditions.join(' OR ')}`,
    );
    rows += Number(row?.n ?? 0);
    sums.forEach((sum, index) => {
      const more = row?.[`s${index}`];
      if (typeof more === 'string') sum.add(more);
    });
  }
  return { rows, sums: sums.map((sum) => sum.text()), of: 'all' };
}
