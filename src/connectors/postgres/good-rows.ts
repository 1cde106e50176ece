/** Runs over rows of binary COPY that pass all checks, by functions that are made for their columns. */
import { compileFunction } from '../../validation/row-shape.ts';
import type { BinaryChecks, ColumnLook } from './binary-checks.ts';

export interface RowCount {
  rows: number;
}

/**
 * Adds the good rows from `at` on to the count.
 * @returns the beginning of the first that is incomplete, is no row, or is not sure to be good
 */
export type SkipGoodRows = (bytes: Buffer, at: number, count: RowCount) => number;

/** Runs over some columns of a row; gives where they end, or -1 where they are not complete and good. */
type SkipColumns = (bytes: Buffer, view: DataView, at: number, length: number) => number;

/** The engine does not optimise long functions: rows of many columns are done by several. */
const COLUMNS_A_FUNCTION = 40;

export function goodRowSkipper({ columns, looks }: BinaryChecks): SkipGoodRows {
  const looked = new Map(looks.map((look) => [look.index, look]));
  const inOrder = columns.map((_, index) => looked.get(index) ?? null);
  const parts: SkipColumns[] = [];
  for (let from = 0; from < inOrder.length; from += COLUMNS_A_FUNCTION) {
    parts.push(columnSkipper(inOrder.slice(from, from + COLUMNS_A_FUNCTION)));
  }
  return (bytes, start, count) => {
    const { length } = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    let at = start;
    let rows = 0;
    while (at + 2 <= length && view.getInt16(at) === inOrder.length) {
      let end = at + 2;
      for (let part = 0; part < parts.length && end > 0; part++) end = (parts[part] as SkipColumns)(bytes, view, end, length);
      if (end < 0) break;
      at = end;
      rows++;
    }
    count.rows += rows;
    return at;
  };
}

/** @param columns null for those that nobody looks at */
function columnSkipper(columns: readonly (ColumnLook | null)[]): SkipColumns {
  const names: Record<string, unknown> = {};
  const steps = columns.map((column, index) => {
    if (!column) return `${READ_SIZE}\nend = size < 0 ? start : start + size;`;
    const { nullAllowed, look, condition } = column;
    names[`look${index}`] = look;
    names[`own${index}`] = condition?.own;
    const sure = condition ? `${condition.text(`own${index}`)} || ` : '';
    return `${READ_SIZE}
if (size < 0) {
  ${nullAllowed ? 'end = start;' : 'return -1;'}
} else {
  end = start + size;
  if (end > length) return -1;
  ${look ? `if (!(${sure}look${index}(bytes, start, end) === null)) return -1;` : ''}
}`;
  });
  return compileFunction(
    names,
    `return (bytes, view, end, length) => {
let start = 0, size = 0, value = 0, high = 0;
${steps.join('\n')}
return end > length ? -1 : end;
};`,
  );
}

const READ_SIZE = `start = end + 4;
if (start > length) return -1;
size = view.getInt32(end);`;
