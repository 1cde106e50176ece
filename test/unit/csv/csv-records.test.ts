/** How bytes become CSV records, and where reading goes on after a broken one. */
import { join } from 'node:path';
import { type CsvOptions, csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import { plan, type ReadRecord, readAll, withFiles } from './record-files.ts';

async function read(content: string | Buffer, options: Partial<CsvOptions> = {}): Promise<ReadRecord[]> {
  return await withFiles({ 'a.csv': content }, async (folder) => {
    const source = createCsvSource(csvConfig.parse(csv({ files: join(folder, 'a.csv'), ...options })));
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    return await readAll(source, partition);
  });
}

const values = (records: readonly ReadRecord[]) => records.map((record) => record.values ?? `${record.problem}: ${record.bytes}`);

describe('good records', () => {
  test('fields, nulls and empty strings', async () => {
    expect(values(await read('a,b,c\n1,,""\n"x","",\n'))).toEqual([
      { a: '1', b: null, c: '' },
      { a: 'x', b: '', c: null },
    ]);
  });

  test('line ends are LF or CRLF, and the last one may be missing', async () => {
    const wanted = [
      { a: '1', b: '2' },
      { a: '3', b: '4' },
    ];
    for (const text of [
      'a,b\n1,2\n3,4\n',
      'a,b\r\n1,2\r\n3,4\r\n',
      'a,b\n1,2\n3,4',
      'a,b\r\n"1","2"\r\n"3","4"',
      'a,b\r\n"1","2"\n3,"4"\r\n',
    ]) {
      expect(values(await read(text))).toEqual(wanted);
    }
  });

  test('quoted fields hold delimiters, doubled quotes and line ends', async () => {
    expect(values(await read('a,b\n"x,y","say ""hi"""\n"line 1\nline 2",z\n"",""""\n'))).toEqual([
      { a: 'x,y', b: 'say "hi"' },
      { a: 'line 1\nline 2', b: 'z' },
      { a: '', b: '"' },
    ]);
  });

  test('a byte order mark is no part of the first column', async () => {
    expect(values(await read('\ufeffa,b\n1,2\n'))).toEqual([{ a: '1', b: '2' }]);
    expect(values(await read('\ufeff1,2\n', { header: ['a', 'b'] }))).toEqual([{ a: '1', b: '2' }]);
  });

  test('UTF-8 in quoted and unquoted fields', async () => {
    expect(values(await read('a,b\nZürich,"Łódź 😀"\n'))).toEqual([{ a: 'Zürich', b: 'Łódź 😀' }]);
  });

  test('other delimiters, quotes, escapes and nulls', async () => {
    expect(values(await read("a;b\n'x;y';NA\n'NA';\n", { delimiter: ';', quote: "'", nullText: 'NA' }))).toEqual([
      { a: 'x;y', b: null },
      { a: 'NA', b: '' },
    ]);
    expect(values(await read('a,b\n"x\\"y","1\\\\2\\n"\n', { escape: '\\' }))).toEqual([{ a: 'x"y', b: '1\\2\\n' }]);
    expect(values(await read('a\tb\n"x\t"y\n', { delimiter: '\t', quote: null }))).toEqual([{ a: '"x', b: '"y' }]);
  });

  test('blank lines are nothing, but in a file of one column they are nulls', async () => {
    expect(values(await read('a,b\n\n1,2\n\r\n\n'))).toEqual([{ a: '1', b: '2' }]);
    expect(values(await read('a\n1\n\n2\n'))).toEqual([{ a: '1' }, { a: null }, { a: '2' }]);
  });

  test('column names that objects inherit', async () => {
    const [record] = await read('__proto__,constructor\n1,2\n');
    expect(Object.entries(record?.values ?? {})).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ]);
  });
});

describe('bad records', () => {
  const after = { a: '8', b: '9' };

  test.each([
    ['a quote inside an unquoted field', '1,x"y\n', 'broken quoting: a quote inside an unquoted field: 1,x"y'],
    ['text after the closing quote', '1,"x"y\n', 'broken quoting: text after a closing quote: 1,"x"y'],
    ['a lone carriage return after the closing quote', '1,"x"\ry\n', 'broken quoting: text after a closing quote: 1,"x"\ry'],
    ['too few fields', '1\n', 'expected 2 fields, found 1: 1'],
    ['too many fields', '1,2,"3"\n', 'expected 2 fields, found 3: 1,2,"3"'],
    ['a NUL byte', '1,x\0y\n', 'contains a NUL byte: 1,x\0y'],
    ['a quote that meets the next one', '1,"x\n2,"y"\n', 'broken quoting: text after a closing quote: 1,"x'],
  ])('%s', async (_name, text, bad) => {
    const records = values(await read(`a,b\n${text}8,9\n`));
    expect(records[0]).toBe(bad);
    expect(records.at(-1)).toEqual(after);
  });

  test('a quote that is never closed is one bad line', async () => {
    const rows = Array.from({ length: 1000 }, (_, index) => `${index},x`).join('\n');
    const records = await read(`a,b\n1,"x\n${rows}\n`);
    expect(records).toHaveLength(1001);
    expect(records[0]).toMatchObject({ problem: 'broken quoting: a quote is not closed', bytes: '1,"x', position: 4 });
    expect(records.filter((record) => record.problem)).toHaveLength(1);
  });

  test('a quote that is not closed within the longest record is one bad line', async () => {
    const rows = Array.from({ length: 3000 }, (_, index) => `${index},x`).join('\n');
    const records = await read(`a,b\n1,"x\n${rows}\n2,"y"\n`, { maxRecordBytes: 1024 });
    expect(records).toHaveLength(3002);
    expect(records.filter((record) => record.problem)).toHaveLength(1);
    expect(records.at(-1)?.values).toEqual({ a: '2', b: 'y' });
  });

  test('a stray quote that meets a later one does not swallow the lines between', async () => {
    expect(values(await read('a,b\n1,"x\n2,y\n3,z\n4,"w",5\n8,9\n'))).toEqual([
      'broken quoting: text after a closing quote: 1,"x',
      { a: '2', b: 'y' },
      { a: '3', b: 'z' },
      'expected 2 fields, found 3: 4,"w",5',
      { a: '8', b: '9' },
    ]);
  });

  test('invalid UTF-8 names its column', async () => {
    const records = await read(Buffer.from('a,b\n1,caf\xe9\n"2\xff",x\nZ\xc3\xbcrich,y\n8,9\n', 'latin1'));
    expect(records.map(({ problem, column, values: found }) => problem ?? [column, found])).toEqual([
      'invalid UTF-8',
      'invalid UTF-8',
      [null, { a: 'Zürich', b: 'y' }],
      [null, { a: '8', b: '9' }],
    ]);
    expect(records.map((record) => record.column)).toEqual(['b', 'a', null, null]);
    expect(records[0]?.bytes).toBe('1,caf\xe9');
  });

  test.each([1500, 300_000, 3_000_000])('a line of %i bytes is one bad record with its beginning', async (length) => {
    const records = await read(`a,b\n1,${'x'.repeat(length)}\n8,9\n2,${'y'.repeat(length)}`, { maxRecordBytes: 1024 });
    expect(records.map((record) => record.problem)).toEqual(['longer than 1024 bytes', null, 'longer than 1024 bytes']);
    expect(records[0]?.bytes).toBe(`1,${'x'.repeat(1022)}`);
    expect(records[1]?.values).toEqual(after);
    expect(records[1]?.position).toBe(4 + 2 + length + 1);
  });
});

describe('headers', () => {
  test.each([
    ['an empty file', '', 'the header line is missing'],
    ['a column twice', 'a,b,a\n', 'names column "a" twice'],
    ['broken quoting', 'a,"b\n1,2\n', 'cannot be read (broken quoting: a quote is not closed)'],
    ['UTF-16', Buffer.from('\ufeffa,b\n', 'utf16le'), 'UTF-16'],
  ])('%s is refused', async (_name, content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  test('quoted names, and names for columns without one', async () => {
    expect(values(await read('"a ""x""",,c\n1,2,3\n'))).toEqual([{ 'a "x"': '1', column_2: '2', c: '3' }]);
  });

  test('a header without records', async () => {
    expect(await read('a,b\n')).toEqual([]);
    expect(await read('a,b')).toEqual([]);
  });
});
