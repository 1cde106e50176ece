import {
  bytes,
  csv,
  definePipeline,
  keyRange,
  month,
  notFewerThan,
  parquet,
  postgres,
  rowCount,
  sql,
  sumsMatchSource,
  unique,
} from 'sluice';
import { z } from 'zod';

const row = z.object({ id: z.int(), day: z.date(), name: z.string() });
const source = postgres({ table: 'orders' });
const target = postgres({ table: 'copy', mode: 'append' });

describe('a pipeline with a mistake is refused, naming the place', () => {
  const mistakes: [what: string, define: () => unknown, message: RegExp][] = [
    ['a name with spaces', () => definePipeline({ name: 'My Orders', source, target }), /pipeline "My Orders": name: lower case letters/],
    [
      'a commit of something unknown',
      () => definePipeline({ name: 'p', source, target, commit: 'row' as 'run' }),
      /pipeline "p": commit: "row" is not known; it is 'run' or 'partition' or 'chunk'\./,
    ],
    [
      'chunks that would be merged',
      () => definePipeline({ name: 'p', source, target: postgres({ table: 'copy', mode: 'upsert', key: ['id'] }), commit: 'chunk' }),
      /pipeline "p": commit: chunks go right into the target, which is for mode "append"; this is "upsert"/,
    ],
    [
      'a SQL transform of chunks',
      () => definePipeline({ name: 'p', source, target, transform: sql`select * from staging`, commit: 'chunk' }),
      /pipeline "p": commit: a SQL transform sees the staged rows, and chunks go right into the target/,
    ],
    [
      'a check of chunks that are committed already',
      () => definePipeline({ name: 'p', source, target, checks: [rowCount({ min: 1 })], commit: 'chunk' }),
      /pipeline "p": commit: rowCount.* looks at rows before they are committed/,
    ],
    [
      'a watermark of chunks',
      () => definePipeline({ name: 'p', source, target, incremental: { cursor: 'id' }, commit: 'chunk' }),
      /pipeline "p": commit: an incremental pipeline moves one watermark and commits by run/,
    ],
    [
      'a partition column that the row schema lacks',
      () => definePipeline({ name: 'p', source, row, partitionBy: month('date'), target }),
      /pipeline "p": partitionBy: column "date" is not in the row schema, which has: id, day, name\./,
    ],
    [
      'a key that is not in the schema',
      () => definePipeline({ name: 'p', source, row, target: postgres({ table: 'copy', mode: 'upsert', key: ['order_id'] }) }),
      /pipeline "p": target\.key: column "order_id" is not in the row schema/,
    ],
    [
      'a key that the transform drops',
      () =>
        definePipeline({
          name: 'p',
          source,
          row,
          transform: ({ name }) => ({ name }),
          output: z.object({ name: z.string() }),
          target: postgres({ table: 'copy', mode: 'upsert', key: ['id'] }),
        }),
      /pipeline "p": target\.key: column "id" is not in the output schema, which has: name\./,
    ],
    [
      'a type of JavaScript for rows that SQL makes',
      () =>
        definePipeline({
          name: 'p',
          source,
          row,
          transform: sql`select id, day from staging`,
          output: z.object({ id: z.int(), day: z.instanceof(Date) }),
          target,
        }),
      /pipeline "p": output: column "day" has a custom type of JavaScript, .* Use z\.any\(\), and say what it must be in `checks`/,
    ],
    [
      'an upsert without a key',
      () => definePipeline({ name: 'p', source, target: postgres({ table: 'copy', mode: 'upsert' }) }),
      /target: key: mode "upsert" needs a key/,
    ],
    [
      'a table and a query',
      () => definePipeline({ name: 'p', source: postgres({ table: 'a', query: 'select 1' }), target }),
      /source: .*either a table or a query/,
    ],
    [
      'partitions replaced that rows cannot tell apart',
      () =>
        definePipeline({
          name: 'p',
          source: csv({ files: 'a.csv' }),
          row,
          target: postgres({ table: 'copy', mode: 'replace', scope: 'partition' }),
        }),
      /target\.scope: to replace the partitions loaded/,
    ],
    [
      'a table that each partition would replace',
      () =>
        definePipeline({
          name: 'p',
          source,
          row,
          target: postgres({ table: 'copy', mode: 'replace' }),
          commit: 'partition',
        }),
      /commit: each partition would replace the whole table/,
    ],
    [
      'a cursor that the row schema lacks',
      () => definePipeline({ name: 'p', source, row, target, incremental: { cursor: 'updated' } }),
      /incremental\.cursor: column "updated"/,
    ],
    [
      'a cursor on files',
      () => definePipeline({ name: 'p', source: parquet({ files: 'a.parquet' }), row, target, incremental: { cursor: 'day' } }),
      /incremental: a parquet source has no cursor/,
    ],
    [
      'a tolerance that is no share',
      () => definePipeline({ name: 'p', source, target, tolerate: { quarantined: '120%' } }),
      /tolerate\.quarantined: "120%" is neither/,
    ],
    [
      'a range of no rows',
      () => definePipeline({ name: 'p', source, row, partitionBy: keyRange('id', 0), target }),
      /partitionBy: keyRange takes/,
    ],
    [
      'a row count without bounds',
      () => definePipeline({ name: 'p', source, target, checks: [rowCount({})] }),
      /checks: rowCount: needs min or max/,
    ],
    [
      'a sum of a column that is not staged',
      () => definePipeline({ name: 'p', source, row, target, checks: [sumsMatchSource('amount')] }),
      /checks: sumsMatchSource\(amount\): column "amount" is not staged; there are: id, day, name\./,
    ],
    [
      'unique without columns',
      () => definePipeline({ name: 'p', source, row, target, checks: [unique()] }),
      /checks: unique\(\): names no column/,
    ],
    [
      'a share that is none',
      () => definePipeline({ name: 'p', source, target, checks: [notFewerThan('90' as '90%')] }),
      /checks: notFewerThan\(90\): "90" is not a share/,
    ],
    [
      'a partition compared with a whole run',
      () =>
        definePipeline({
          name: 'p',
          source,
          row,
          partitionBy: month('day'),
          commit: 'partition',
          target: postgres({ table: 'copy', mode: 'replace', scope: 'partition' }),
          checks: [notFewerThan('90%')],
        }),
      /checks: notFewerThan\(90%\): compares whole runs/,
    ],
  ];

  it.each(mistakes)('%s', (_, define, message) => {
    expect(define).toThrow(message);
  });
});

test('files are divided by bytes, unless each partition is committed by itself', () => {
  const files = csv({ files: 'data/*.csv' });
  const define = (options: object) => definePipeline({ name: 'files', source: files, target, ...options }).bind({}).partitionBy;
  expect(define({})).toEqual({ by: 'bytes', size: 64 * 1024 * 1024 });
  expect(define({ commit: 'partition' })).toEqual({ by: 'file' });
  expect(define({ source: parquet({ files: 'data/*.parquet' }) })).toEqual({ by: 'bytes', size: 64 * 1024 * 1024 });
  expect(() => define({ partitionBy: bytes(0.5) })).toThrow(/partitionBy: bytes takes a whole number/);
});

describe('parameters', () => {
  const pipeline = definePipeline({
    name: 'orders',
    params: z.object({ from: z.iso.date().optional(), limit: z.int().default(10) }),
    source: ({ limit }) => postgres({ query: `select * from orders limit ${limit}` }),
    row,
    partitionBy: ({ from }) => month('day', { from }),
    target,
  });

  it('are put into the definition', () => {
    const bound = pipeline.bind({ from: '2001-02-01' });
    expect(bound.partitionBy).toEqual({ by: 'date', unit: 'month', column: 'day', from: '2001-02-01' });
    expect(bound.source).toMatchObject({ query: 'select * from orders limit 10' });
  });

  it('that are bad are refused by name', () => {
    expect(() => pipeline.bind({ from: '2001-02-30' })).toThrow(/pipeline "orders": parameter "from": .*It takes: from, limit\./);
  });

  it('that nobody knows are refused, saying which there are', () => {
    expect(() => pipeline.bind({ form: '2001-02-01' })).toThrow(/Unrecognized key: "form".*It takes: from, limit\./);
  });

  it('are refused where the pipeline takes none', () => {
    expect(() => definePipeline({ name: 'p', source, target }).bind({ from: 'x' })).toThrow(/It takes none\./);
  });
});

describe('types flow from the row schema', () => {
  it('into the row function and the functions of parameters', () => {
    definePipeline({
      name: 'typed',
      params: z.object({ from: z.iso.date().optional() }),
      source,
      row,
      // @ts-expect-error the schema has no parameter "till"
      partitionBy: ({ till }) => month('day', { to: till }),
      target,
      transform: (each) => {
        const day: Date = each.day;
        // @ts-expect-error id is a number
        const id: string = each.id;
        // @ts-expect-error the schema has no column "price"
        const price = each.price;
        return { ...each, day, name: `${id} ${price}` };
      },
    });
    definePipeline({
      name: 'given',
      source,
      row,
      output: z.object({ total: z.number() }),
      // @ts-expect-error the output schema has a number here
      transform: (each) => ({ total: each.name }),
      target,
    });
  });
});
