/** Records on their way into COPY. */
import { z } from 'zod';
import { RejectedRows } from '../../../src/connectors/rejected-rows.ts';
import type { RecordChunk, SourceRecord } from '../../../src/connectors/source.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowEncoder } from '../../../src/validation/copy-text.ts';
import { type EncodeOptions, encodedLines, encodeRecords } from '../../../src/validation/encode-records.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';

const encode = createRowEncoder([
  { name: 'n', sqlType: 'integer', notNull: true },
  { name: 't', sqlType: 'text', notNull: false },
]);
const columns = ['n', 't'];
const parse = createRowParser(compileRowSchema(z.object({ n: z.int().min(0), t: z.string().nullable() })), 'text');

function chunkOf(...rows: (Record<string, unknown> | string)[]): RecordChunk {
  return chunkOfRows(rows);
}

function chunkOfRows(rows: readonly (Record<string, unknown> | string)[]): RecordChunk {
  const records = rows.map(
    (row, position): SourceRecord => ({
      position,
      bytes: () => Buffer.from(JSON.stringify(row)),
      ...(typeof row === 'string' ? { problem: { column: null, reason: row } } : { values: row }),
    }),
  );
  return {
    batches: (async function* () {
      for (let index = 0; index < records.length; index += 2) yield records.slice(index, index + 2);
    })(),
    end: () => ({ position: { at: records.length }, last: true }),
  };
}

async function run(chunk: RecordChunk, options: Partial<EncodeOptions> = {}) {
  const encoded = encodeRecords(chunk, { encode, columns, withPosition: false, ...options });
  let text = '';
  for await (const piece of encoded.bytes) text += piece;
  return { text, columns: encoded.columns, ...encoded.end() };
}

test('rows become lines; bad ones are collected with their bytes', async () => {
  const done = await run(chunkOf({ n: '1', t: 'x' }, 'broken', { n: '-1', t: 'y' }, { n: '3000000000', t: null }, { n: '2', t: null }), {
    parse,
    withPosition: true,
  });
  expect(done).toEqual({
    text: '0\t1\tx\n4\t2\t\\N\n',
    columns: ['_sluice_position', 'n', 't'],
    position: { at: 5 },
    last: true,
    rowsRead: 5,
    rowsEncoded: 2,
    rowsFiltered: 0,
    rejected: [
      { position: 1, column: null, reason: 'broken', record: Buffer.from('"broken"') },
      { position: 2, column: 'n', reason: 'less than 0', record: Buffer.from('{"n":"-1","t":"y"}') },
      { position: 3, column: 'n', reason: 'out of range for integer', record: Buffer.from('{"n":"3000000000","t":null}') },
    ],
  });
});

test('a row function changes, drops and refuses rows', async () => {
  const transform = (row: Record<string, unknown>) => {
    if (row.t === 'drop') return null;
    if (row.t === 'throw') throw new Error('no such\nthing');
    if (row.t === 'promise') return Promise.resolve(row) as never;
    if (row.t === 'number') return 5 as never;
    return { n: (row.n as number) * 2, t: row.t };
  };
  const done = await run(chunkOf(...['x', 'drop', 'throw', 'promise', 'number'].map((t) => ({ n: '4', t }))), { parse, transform });
  expect(done.text).toBe('8\tx\n');
  expect(done.rowsFiltered).toBe(1);
  expect(done.rejected.map((row) => row.reason)).toEqual([
    'row function: no such thing',
    'row function: gave a promise; it must be synchronous',
    'row function: gave neither a row nor null',
  ]);
});

test('what a row function gives is judged by a schema of its own, which fills in what lacks', async () => {
  const output = createRowParser(
    compileRowSchema(
      z.object({ n: z.number().min(0).multipleOf(2), t: z.string().max(3).default('-') }).refine(({ n }) => n < 10, 'too many'),
    ),
    'typed',
  );
  const transform = ({ n, t }: Record<string, unknown>) => ({ n: t === 'text' ? 'two' : (n as number) - 4, ...(t === null ? {} : { t }) });
  const given = [
    { n: '3', t: 'x' },
    { n: '5', t: 'x' },
    { n: '6', t: 'x' },
    { n: '8', t: null },
    { n: '6', t: 'long' },
    { n: '6', t: 'text' },
    { n: '14', t: 'x' },
  ];
  const done = await run(chunkOf(...given), { parse, transform, output });
  expect(done.text).toBe('2\tx\n4\t-\n');
  expect(done.rejected.map(({ position, column, reason }) => [position, column, reason])).toEqual([
    [0, 'n', 'output: less than 0'],
    [1, 'n', 'output: not a multiple of 2'],
    [4, 't', 'output: longer than 3'],
    [5, 'n', 'output: expected a number'],
    [6, null, 'output: too many'],
  ]);
  expect(done.rejected[0]?.record).toEqual(Buffer.from('{"n":"3","t":"x"}'));
});

test('end() is not there before the bytes are', () => {
  expect(() => encodeRecords(chunkOf(), { encode, columns, withPosition: false }).end()).toThrow('exhausted');
});

test('bytes come in pieces', async () => {
  const rows = Array.from({ length: 3000 }, (_, n) => ({ n, t: 'x'.repeat(100) }));
  const encoded = encodeRecords(chunkOf(...rows), { encode, columns, withPosition: false });
  const sizes: number[] = [];
  for await (const piece of encoded.bytes) sizes.push(piece.length);
  expect(sizes).toHaveLength(5);
  expect(Math.max(...sizes)).toBeLessThan(72_000);
});

test('a long chunk lets others run in between', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const rows = Array.from({ length: 200_000 }, (_, n) => ({ n, t: 'x' }));
  await run(chunkOfRows(rows)).finally(() => clearInterval(timer));
  expect(turns).toBeGreaterThan(2);
});

test('lines with their records', async () => {
  const rejected = new RejectedRows();
  const batches: string[][] = [];
  for await (const batch of encodedLines(
    chunkOf({ n: '1', t: 'x' }, 'broken', 'worse', 'worst', { n: '2', t: 'y' }),
    { encode, columns, parse, withPosition: true },
    rejected,
  )) {
    batches.push(batch.map(({ record, line }) => `${record.position}: ${line}`));
  }
  expect(batches).toEqual([['0: 0\t1\tx\n'], ['4: 4\t2\ty\n']]);
  expect(rejected.rows.map((row) => row.position)).toEqual([1, 2, 3]);
});
