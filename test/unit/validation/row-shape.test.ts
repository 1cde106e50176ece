/** Code made for columns of any name. */
import { z } from 'zod';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowEncoder } from '../../../src/validation/copy-text.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { rowMaker } from '../../../src/validation/row-shape.ts';

const NAMES = [
  'a',
  '',
  '"',
  "'",
  '`$x`',
  '\\',
  '\n',
  '\u2028',
  'a-b',
  '1',
  'values',
  'v0',
  'row',
  'return',
  '*/',
  '];',
  '__proto__',
  'toString',
];

test('rows have the columns as their own properties, whatever they are called', () => {
  const row = rowMaker<string>(NAMES)(NAMES.map((_, index) => `value ${index}`));
  expect(Object.keys(row).sort()).toEqual([...NAMES].sort());
  for (const [index, name] of NAMES.entries()) expect(Object.getOwnPropertyDescriptor(row, name)?.value).toBe(`value ${index}`);
  expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  expect(rowMaker<string>(['a', 'b'])(['x'])).toEqual({ a: 'x', b: null });
});

test.each(NAMES)('a column called %j is parsed and encoded', (name) => {
  const schema = compileRowSchema(z.object({ ...JSON.parse(`{${JSON.stringify(name)}:0}`), [name]: z.int().max(5) }));
  const parse = createRowParser(schema, 'text');
  const encode = createRowEncoder([{ name, sqlType: 'integer', notNull: true }]);
  const given = rowMaker<string>([name]);
  const parsed = parse(given(['5']));
  expect(parsed).toMatchObject({ ok: true });
  if (parsed.ok) expect(encode(parsed.row)).toEqual({ ok: true, line: '5\n' });
  expect(parse(given(['6']))).toEqual({ ok: false, column: name, reason: 'greater than 5' });
  expect(parse({})).toEqual({ ok: false, column: name, reason: 'missing' });
  expect(encode({})).toEqual({ ok: false, column: name, reason: 'missing' });
});
