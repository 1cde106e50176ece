/** Rows of more columns than one function is made for. */
import type { Look } from '../../../src/connectors/postgres/binary-checks.ts';
import { goodRowSkipper } from '../../../src/connectors/postgres/good-rows.ts';

const COLUMNS = 130;
const look: Look = (bytes, start) => (bytes.readInt32BE(start) < 0 ? 'less than 0' : null);
const columns = Array.from({ length: COLUMNS }, (_, index) => ({ name: `c${index}`, decode: () => '' }));
/** Every third column is looked at, and every sixth may be null. */
const looks = columns.flatMap(({ name }, index) => (index % 3 === 0 ? [{ name, index, nullAllowed: index % 6 === 0, look }] : []));
const skip = goodRowSkipper({ columns, looks });

function row(values: Readonly<Record<number, number | null>> = {}): Buffer {
  const fields = columns.map((_, index) => {
    const value = values[index] === undefined ? 7 : values[index];
    const bytes = Buffer.alloc(value === null ? 4 : 8);
    bytes.writeInt32BE(value === null ? -1 : 4);
    if (value !== null) bytes.writeInt32BE(value, 4);
    return bytes;
  });
  return Buffer.concat([Buffer.from([0, COLUMNS]), ...fields]);
}

function skipped(...rows: Buffer[]): { rows: number; at: number } {
  const count = { rows: 0 };
  const at = skip(Buffer.concat([Buffer.from('before'), ...rows]), 6, count);
  return { rows: count.rows, at: at - 6 };
}

const good = row({ 1: -1, 2: null, 126: null, 129: 0 });

it.each<[string, Buffer]>([
  ['a refused value', row({ 129: -1 })],
  ['a refused value in the middle', row({ 81: -1 })],
  ['null that is not allowed', row({ 87: null })],
  ['half of a row', good.subarray(0, -1)],
  ['the beginning of a row', good.subarray(0, 2)],
  ['one byte', good.subarray(0, 1)],
  ['the trailer', Buffer.from([255, 255])],
  ['nothing', Buffer.alloc(0)],
])('stops before %s', (_, last) => {
  expect(skipped(good, row(), last)).toEqual({ rows: 2, at: good.length + row().length });
});
