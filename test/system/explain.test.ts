/** `sluice explain`: what a run would do and where, by the code that plans it, without starting or writing anything. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { contentOf } from '../helpers/checksum.ts';
import { freshDatabase, query } from '../helpers/servers.ts';
import { CLI, FLIGHTS, type Project, project } from '../helpers/workers.ts';

const run = promisify(execFile);

let url: string;
let flow: Project;

beforeAll(async () => {
  url = await freshDatabase('explain');
  flow = await project('explain', url);
  await writeFile(join(flow.folder, 'orders.csv'), 'id,name\n1,a\n');
  await writeFile(join(flow.folder, 'orders.jsonl'), '{"id":1,"name":"a"}\n');
  await query(
    url,
    `create domain cents as numeric(12,2);
     create table orders (id int primary key, name text not null, amount cents, placed timestamptz);
     create table orders_copy (like orders including all);
     create table wide (id bigint primary key, name int)`,
  );
  await flow.write(
    'orders.ts',
    `import { column, csv, definePipeline, jsonl, month, parquet, postgres, rowsMatchSource, sql, unique } from 'sluice';
     import { z } from 'zod';
     const source = postgres({ table: 'orders' });
     const row = z.object({ id: z.int(), name: z.string().min(1).max(9), amount: z.string().nullable(), placed: z.date().nullable() });
     const target = postgres({ table: 'orders_copy', mode: 'upsert', key: ['id'] });
     const fresh = postgres({ table: 'fresh', mode: 'append', key: ['id'] });
     export default [
       definePipeline({ name: 'untouched', source, target }),
       definePipeline({ name: 'checked', params: z.object({ only: z.string() }), source, row, target,
         partitionBy: ({ only }) => column('name', [only]), checks: [unique('id'), rowsMatchSource()] }),
       definePipeline({ name: 'judged', source, row: row.extend({ name: z.string().refine((name) => name !== 'x') }), target }),
       definePipeline({ name: 'cased', source, row, target, transform: (row) => ({ ...row, name: row.name.toLowerCase() }) }),
       definePipeline({ name: 'summed', source, row, transform: sql\`select id, max(amount)::cents as amount, count(*) as n from staging group by 1\`, target: fresh }),
       definePipeline({ name: 'new', source, incremental: { cursor: 'placed' }, target: fresh }),
       definePipeline({ name: 'lines', source: csv({ files: 'orders.csv' }), row: z.object({ id: z.int(), name: z.string().default('none'), note: z.string().optional() }), target: fresh }),
       definePipeline({ name: 'bytes', source: csv({ files: 'orders.csv' }), row: z.object({ id: z.int(), name: z.string().nullable() }), target: fresh }),
       definePipeline({ name: 'odd', source: csv({ files: 'orders.csv', nullText: '0' }), target }),
       definePipeline({ name: 'objects', source: jsonl({ files: 'orders.jsonl' }), row: z.object({ id: z.int(), name: z.string() }), target }),
       definePipeline({ name: 'flights', source: parquet({ files: '${FLIGHTS}' }), partitionBy: month('date'),
         row: z.object({ date: z.date(), delay: z.int().min(-120), origin: z.string().length(3) }), target: postgres({ table: 'flights', mode: 'replace' }) }),
       definePipeline({ name: 'unfit', source, target: postgres({ table: 'wide', mode: 'append' }) }),
     ];`,
  );
});

interface Answer {
  readonly [field: string]: unknown;
  readonly row: readonly { column: string; checkedBy: string; needsZod: string | null }[];
}

async function explain(...args: string[]): Promise<Answer> {
  const { stdout } = await run(process.execPath, [CLI, 'explain', ...args, '--json'], { cwd: flow.folder, env: flow.env });
  return JSON.parse(stdout);
}

const checkedBy = ({ row }: Answer) => Object.fromEntries(row.map((each) => [each.column, each.checkedBy]));

test('equal types go untouched; what the columns say by themselves nobody looks at', async () => {
  const answer = await explain('untouched');
  expect(answer).toMatchObject({
    pipeline: 'untouched',
    source: { reads: ['id', 'name', 'amount', 'placed'], partitions: 'one', window: null },
    transfer: { how: 'binary', says: 'binary COPY to binary COPY, untouched', whyNotFaster: null },
    row: [],
    transform: null,
    target: { table: 'orders_copy', exists: true, mode: 'upsert', key: ['id'], commit: 'run' },
    written: { says: 'once, into a table beside the target, then its keys and indexes, and swapped in by the commit', whyNotFaster: null },
  });
});

test('a row schema is checked on the bytes, and parameters are taken as a run takes them', async () => {
  const answer = await explain('checked', '--param', 'only=a');
  expect(answer).toMatchObject({
    params: { only: 'a' },
    source: { partitions: 'one for each value of "name" among a' },
    transfer: { how: 'binary', says: 'binary COPY to binary COPY, with the row schema checked on the way' },
    checks: [
      { name: 'unique(id)', runs: 'target' },
      { name: 'rowsMatchSource', runs: 'target and source' },
    ],
  });
  expect(checkedBy(answer)).toEqual({ id: 'nobody', name: 'worker on the bytes', amount: 'nobody', placed: 'worker on the bytes' });
});

test('a column that only zod can judge is named with the reason', async () => {
  const answer = await explain('judged');
  expect(answer.transfer).toMatchObject({ how: 'records', whyNotFaster: 'column "name": refinement' });
  expect(answer.row).toContainEqual({ column: 'name', type: 'string', checkedBy: 'zod on each record', needsZod: 'refinement' });
  expect(answer.row).toContainEqual({ column: 'id', type: 'int', checkedBy: 'worker on each record', needsZod: null });
});

test('transforms are said to run where they run, with the columns that SQL gives', async () => {
  expect(await explain('cased')).toMatchObject({
    transform: 'row function, in the worker, on each record',
    transfer: { how: 'records', whyNotFaster: 'the row function wants to see each row' },
  });
  expect(await explain('summed')).toMatchObject({
    transform: expect.stringContaining('SQL, in the target database'),
    target: {
      exists: false,
      columns: [
        { name: 'id', sqlType: 'integer', notNull: true },
        { name: 'amount', sqlType: 'cents', notNull: false },
        { name: 'n', sqlType: 'bigint', notNull: false },
      ],
    },
    written: { says: 'once, into a table beside the target, then the primary key on (id), and swapped in by the commit' },
  });
});

test('an incremental pipeline that never ran, a CSV file, Parquet', async () => {
  expect(await explain('new')).toMatchObject({ source: { window: expect.stringMatching(/^placed after the beginning to /) } });
  expect(await explain('lines')).toMatchObject({
    source: { reads: ['id', 'name'], partitions: 'one for each file, and one for every 64 MiB of a larger one' },
    target: { columns: [{ notNull: true }, { name: 'name', sqlType: 'text', notNull: true }, { name: 'note', notNull: false }] },
  });
  const answer = await explain('flights');
  expect(answer).toMatchObject({ transfer: { how: 'csv', whyNotFaster: null }, source: { partitions: 'one for each month of "date"' } });
  expect(checkedBy(answer)).toMatchObject({ delay: 'DuckDB', origin: 'DuckDB' });
});

test('CSV and JSONL say how their records travel, and because of what', async () => {
  const bytes = await explain('bytes');
  expect(bytes.transfer).toMatchObject({ how: 'csv', says: 'CSV into COPY, with the row schema checked on the way', whyNotFaster: null });
  expect(checkedBy(bytes)).toEqual({ id: 'worker on the bytes', name: 'nobody' });
  const because = async (pipeline: string) => (await explain(pipeline)).transfer;
  expect(await because('lines')).toMatchObject({ how: 'records', whyNotFaster: 'column "name": default may change the value' });
  expect(await because('odd')).toMatchObject({ how: 'records', whyNotFaster: expect.stringMatching(/^nullText is a number/) });
  expect(await because('objects')).toMatchObject({ how: 'records', whyNotFaster: expect.stringMatching(/^COPY does not read jsonl/) });
});

test('for people it is a page, and nothing is left in the database', async () => {
  const { stdout } = await run(process.execPath, [CLI, 'explain', 'judged'], { cwd: flow.folder, env: flow.env });
  expect(stdout).toMatch(/^judged\n {2}source {6}postgres:\/\/\S+ table orders\n/);
  expect(stdout).toMatch(/transfer {4}records, parsed, judged and encoded one by one\n {14}not faster: column "name": refinement\n/);
  expect(stdout).toMatch(/^name +string +zod on each record +refinement +text not null$/m);
  expect(await query(url, `select nspname from pg_namespace where nspname like 'sluice%'`)).toEqual([]);
  expect(await contentOf(url, 'orders_copy')).toMatchObject({ rows: 0 });
});

test.each([
  ['unfit', 2, /MissingColumn.*table \\"wide\\" has no column/s],
  ['unknown', 2, /UnknownPipeline/],
  ['checked', 2, /InvalidDefinition.*parameter \\?"only/s],
])('what a run would be refused for is said: %s', async (pipeline, code, stdout) => {
  const failed = run(process.execPath, [CLI, 'explain', pipeline, '--json'], { cwd: flow.folder, env: flow.env });
  await expect(failed).rejects.toMatchObject({ code, stdout: expect.stringMatching(stdout) });
});
