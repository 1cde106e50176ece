import fc from 'fast-check';
import { CopyTextLines } from '../../../src/connectors/postgres/copy-text-lines.ts';

const ESCAPED: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};
const written = (value: string | null) =>
  value === null ? '\\N' : value.replace(/[\b\f\n\r\t\v\\]/g, (character) => ESCAPED[character] ?? '');

const value = fc.option(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('\\N', '\\', '\\.', '\t\n', '')));

it('takes lines apart as they were written, wherever the pieces are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 50 }),
      (rows, size) => {
        const bytes = Buffer.from(rows.map((row) => `${row.map(written).join('\t')}\n`).join(''));
        const lines = new CopyTextLines();
        const read: (string | null)[][] = [];
        for (let at = 0; at < bytes.length; at += size) read.push(...lines.read(bytes.subarray(at, at + size)));
        lines.requireComplete();
        expect(read).toEqual(rows);
      },
    ),
  );
});

it('notices that a line is not complete', () => {
  const lines = new CopyTextLines();
  expect([...lines.read(Buffer.from('a\tb\nc'))]).toEqual([['a', 'b']]);
  expect(() => lines.requireComplete()).toThrow('middle of a line');
});
