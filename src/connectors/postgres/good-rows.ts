/** Runs over rows of binary COPY that pass all checks, by a function that is made for their columns. */
import { compileFunction } from '../../validation/row-shape.ts';
import type { BinaryChecks } from './binary-checks.ts';

export interface RowCount {
  rows: number;
}

/**
 * Adds the good rows from `at` on to the count.
 * @returns the beginning of the first that is incomplete, is no row, or is not sure to be good
 */
export type SkipGoodRows = (bytes: Buffer, at: number, count: RowCount) => number;

export function goodRowSkipper({ columns, looks }: BinaryChecks): SkipGoodRows {
  const names: Record<string, unknown> = {};
  const steps = columns.map((_, index) => {
    const looked = looks.find((each) => each.index === index);
    if (!looked) return `${READ_SIZE}\nend = size < 0 ? start : start + size;`;
    const { nullAllowed, look, condition } = looked;
    names[`look${index}`] = look;
    names[`own${index}`] = condition?.own;
    const sure = condition?.text(`own${index}`);
    const asked = `look${index}(bytes, start, end) === null`;
    const passes = sure ? `${sure} || ${asked}` : asked;
    return `${READ_SIZE}
if (size < 0) {
  ${nullAllowed ? 'end = start;' : 'break;'}
} else {
  end = start + size;
  if (end > length) break;
  ${look ? `if (!(${passes})) break;` : ''}
}`;
  });
  return compileFunction(
    names,
    `return (bytes, at, count) => {
const { length } = bytes;
const view = new DataView(bytes.buffer, bytes.byteOffset, length);
let rows = 0, start = 0, size = 0, value = 0, high = 0;
while (at + 2 <= length && view.getInt16(at) === ${columns.length}) {
let end = at + 2;
${steps.join('\n')}
if (end > length) break;
at = end;
rows++;
}
count.rows += rows;
return at;
};`,
  );
}

const READ_SIZE = `start = end + 4;
if (start > length) break;
size = view.getInt32(end);`;
