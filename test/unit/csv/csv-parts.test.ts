/** Large files in parts: each begins where a record begins that one pass over the file finds. */
import { join } from 'node:path';
import fc from 'fast-check';
import { type CsvOptions, csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import { jsonlConfig } from '../../../src/connectors/jsonl/config.ts';
import { createJsonlSource } from '../../../src/connectors/jsonl/source.ts';
import type { Source } from '../../../src/connectors/source.ts';
import { plan, type ReadRecord, readAll, withFiles } from './record-files.ts';

/** Reads the file in one part and in parts of `size` bytes, and finds the same records. */
async function expectSameInParts(source: Source, size: number): Promise<string[]> {
  const [whole] = await plan(source, { by: 'file' });
  if (!whole) throw new Error('no partition');
  const parts = await plan(source, { by: 'bytes', size });
  const found: ReadRecord[] = [];
  for (const part of parts) found.push(...(await readAll(source, JSON.parse(JSON.stringify(part)))));
  expect(found).toEqual(await readAll(source, whole));
  return parts.map((part) => part.name);
}

const open = (files: string, options: Partial<CsvOptions> = {}) =>
  createCsvSource(csvConfig.parse({ ...csv({ files, header: ['a', 'b'], ...options }), maxRecordBytes: 1024 }));

const piece = fc.constantFrom(
  'a',
  'bc',
  ',',
  '"',
  '""',
  '\n',
  '\r\n',
  '\\',
  '\\"',
  '\0',
  'é',
  '"x\ny",',
  ',"x"\n',
  '\n1,2\n',
  ' '.repeat(90),
);

test('any bytes, parts of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 120 }),
      fc.integer({ min: 1, max: 300 }),
      fc.constantFrom<Partial<CsvOptions>>({}, {}, { escape: '\\' }, { quote: null }, { header: true }),
      async (pieces, size, options) => {
        await withFiles({ 'a.csv': Buffer.from(`a,b\n${pieces.join('')}`, 'latin1') }, async (folder) => {
          await expectSameInParts(open(join(folder, 'a.csv'), options), size);
        });
      },
    ),
    { numRuns: 300 },
  );
});

test('parts of many blocks of reading', async () => {
  const lines: string[] = [];
  for (let index = 0; index < 40_000; index++) {
    if (index % 997 === 0) lines.push(`${index},"not closed`);
    else if (index % 5000 < 1000 && index % 3 === 0) lines.push(`"${index}","${'x'.repeat(index % 90)}\n""${index}"""`);
    else if (index % 7001 === 0) lines.push('y'.repeat(600_000));
    else lines.push(`${index},${'é'.repeat(index % 40)}`);
  }
  await withFiles({ 'a.csv': lines.join('\r\n') }, async (folder) => {
    const source = open(join(folder, 'a.csv'));
    for (const size of [50_000, 333_333, 2_000_000]) await expectSameInParts(source, size);
  });
});

test('the parts have names, and a small file is one partition', async () => {
  const line = '1,2\n';
  await withFiles({ 'big.csv': line.repeat(100), 'small.csv': line.repeat(10), 'empty.csv': '' }, async (folder) => {
    const parts = await plan(open(join(folder, '*.csv')), { by: 'bytes', size: 150 });
    expect(parts.map((part) => part.name)).toEqual([
      'big.csv part 1 of 3',
      'big.csv part 2 of 3',
      'big.csv part 3 of 3',
      'empty.csv',
      'small.csv',
    ]);
  });
});

test('JSON lines', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('{"a":1}', '', '{"a":"x"}\r', 'broken', `{"a":"${'x'.repeat(1500)}"}`, ' '), { maxLength: 40 }),
      fc.integer({ min: 1, max: 300 }),
      async (lines, size) => {
        await withFiles({ 'a.jsonl': `\ufeff${lines.join('\n')}` }, async (folder) => {
          const files = join(folder, 'a.jsonl');
          await expectSameInParts(
            createJsonlSource(jsonlConfig.parse({ kind: 'jsonl', files, columns: ['a'], maxRecordBytes: 1024 })),
            size,
          );
        });
      },
    ),
    { numRuns: 100 },
  );
});
