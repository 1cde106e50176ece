/** JSON lines as a source. */
import { join } from 'node:path';
import fc from 'fast-check';
import { type JsonlOptions, jsonl, jsonlConfig } from '../../../src/connectors/jsonl/config.ts';
import { createJsonlSource } from '../../../src/connectors/jsonl/source.ts';
import { ExactNumber } from '../../../src/validation/exact-number.ts';
import { plan, readAll, signal, withFiles } from '../csv/record-files.ts';

const open = (files: string, options: Partial<JsonlOptions> = {}) => createJsonlSource(jsonlConfig.parse(jsonl({ files, ...options })));

async function read(content: string | Buffer, options: Partial<JsonlOptions> = {}) {
  return await withFiles({ 'a.jsonl': content }, async (folder) => {
    const source = open(join(folder, 'a.jsonl'), options);
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    return await readAll(source, partition);
  });
}

test('objects, blank lines and line ends', async () => {
  const records = await read('\ufeff{"a":1}\r\n\n  \n{"a":{"b":["é"]}}');
  expect(records.map((record) => record.values)).toEqual([{ a: 1 }, { a: { b: ['é'] } }]);
});

test('bad lines are bad records, one by one', async () => {
  const records = await read(Buffer.from('{"a":1\n[1]\nnull\n"x"\n{"a":"\xff"}\n{"a":\0}\n{"a":1} {"a":2}\n{"a":2}\n', 'latin1'));
  expect(records.map((record) => record.problem)).toEqual([
    'not valid JSON',
    'not a JSON object',
    'not a JSON object',
    'not a JSON object',
    'invalid UTF-8',
    'contains a NUL byte',
    'not valid JSON',
    null,
  ]);
  expect(records[0]).toMatchObject({ bytes: '{"a":1', position: 0 });
});

test('numbers lose no digits', async () => {
  const [record] = await read('{"id":9007199254740993,"x":0.12345678901234567890,"small":12,"text":"9007199254740993"}\n');
  expect(record?.values).toEqual({
    id: 9007199254740993n,
    x: new ExactNumber('0.12345678901234567890'),
    small: 12,
    text: '9007199254740993',
  });
});

test('a line longer than a record may be', async () => {
  const records = await read(`{"a":"${'x'.repeat(400_000)}"}\n{"a":1}\n`, { maxRecordBytes: 1024 });
  expect(records.map((record) => record.problem)).toEqual(['longer than 1024 bytes', null]);
});

test('columns are the keys of the first objects, or the ones named', async () => {
  await withFiles({ 'a.jsonl': '{"a":1}\nbroken\n{"b":2}\n', 'b.jsonl': '{"c":1}\n' }, async (folder) => {
    const names = async (options: Partial<JsonlOptions>) =>
      (await open(join(folder, '*.jsonl'), options).describe(signal)).columns.map((column) => column.name);
    expect(await names({})).toEqual(['a', 'b', 'c']);
    expect(await names({ columns: ['x', 'a'] })).toEqual(['x', 'a']);
  });
});

test('partitions by value and by date; what cannot be judged is apart', async () => {
  const text =
    '{"r":1,"d":"2001-01-05"}\n{"r":"x","d":"2001-02-30"}\n{"d":null}\n{"r":null,"d":7}\n{"r":[1],"d":"2001-01-06T10:00:00Z"}\noops\n';
  await withFiles({ 'a.jsonl': text }, async (folder) => {
    const source = open(join(folder, 'a.jsonl'));
    const shown = async (partitioning: Parameters<typeof plan>[1]) =>
      (await plan(source, partitioning)).map(({ name, rowsExpected }) => [name, rowsExpected]);
    expect(await shown({ by: 'value', column: 'r' })).toEqual([
      ['r=1', 1],
      ['r=x', 1],
      ['r is null', 1],
      ['unreadable', 3],
    ]);
    expect(await shown({ by: 'date', unit: 'month', column: 'd' })).toEqual([
      ['2001-01', 2],
      ['d is null', 1],
      ['unreadable', 3],
    ]);
    const [unreadable] = (await plan(source, { by: 'value', column: 'r' })).slice(-1);
    if (!unreadable) throw new Error('no partition');
    expect((await readAll(source, unreadable)).map((record) => record.problem)).toEqual([
      'missing',
      'expected a single value to partition by',
      'not valid JSON',
    ]);
  });
});

test('any lines, any sizes of chunks', async () => {
  const line = fc.constantFrom('{"a":1}', '{"a":"é"}', '{', '', '[]', '{"a":12345678901234567890}', '\xff', '\0', ' ', 'x'.repeat(1500));
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      async (lines, sizes) => {
        await withFiles({ 'a.jsonl': Buffer.from(lines.join('\n'), 'latin1') }, async (folder) => {
          const source = open(join(folder, 'a.jsonl'), { maxRecordBytes: 1024 });
          const [partition] = await plan(source, { by: 'file' });
          if (!partition) throw new Error('no partition');
          const once = await readAll(source, partition);
          let index = 0;
          expect(await readAll(source, partition, () => ({ maxRows: sizes[index++ % sizes.length] ?? 1, maxBytes: 1e9 }))).toEqual(once);
          expect(once).toHaveLength(lines.filter((each) => each.trim() !== '').length);
        });
      },
    ),
    { numRuns: 40 },
  );
});

test('numbers add up with all their digits', async () => {
  const lines = [
    '{"n":9007199254740993}',
    '{"n":0.1}',
    '{"n":"0.2"}',
    '{"n":1.00000000000000000001}',
    '{"n":null}',
    '{}',
    '{"n":1e-7}',
    '{"n"',
  ];
  await withFiles({ 'a.jsonl': lines.join('\n') }, async (folder) => {
    const source = open(join(folder, 'a.jsonl'));
    const request = {
      partitions: await plan(source, { by: 'none' }),
      quarantined: async () => new Set<number>(),
      ends: [],
      window: null,
      signal,
    };
    expect(await source.totals({ ...request, columns: ['n'] })).toEqual({
      ...{ rows: lines.length, of: 'staged' },
      sums: ['9007199254740994.30000010000000000001'],
    });
  });
});
