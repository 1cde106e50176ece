/** The schema of what a transform gives is kept: no row that it refuses reaches the target, whichever way the row was made. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import type { RunSummary } from '../../src/contracts/run.ts';
import { attemptsAt, failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { CLI, type Project, project, startWorker } from '../helpers/workers.ts';

const COPY = `
import { column, definePipeline, postgres, rowsMatchSource, sql } from 'sluice';
import { z } from 'zod';
const source = postgres({ table: 'orders' });
const row = z.object({ id: z.int(), region: z.string(), cents: z.int(), at: z.date().nullable() });
const tolerate = { quarantined: 100 };
const output = z.object({
  id: z.int(), amount: z.number().min(0).max(50), region: z.enum(['north', 'south']), word: z.string().max(8).nullable(), at: z.date().nullable(),
});
const word = (id) => (id % 7 === 0 ? 'much too long' : id % 2 === 0 ? '\u{1F600}'.repeat(8) : null);
const select = \`
  select id, cents / 100.0 as amount, region, at,
         case when id % 7 = 0 then 'much too long' when id % 2 = 0 then repeat(U&'\\\\+01F600', 8) end as word from staging\`;
const made = sql([select]);
export default [
  definePipeline({
    name: 'by_function', source, row, output, tolerate,
    transform: ({ id, cents, ...rest }) => ({ ...rest, id, amount: cents / 100, word: word(id) }),
    target: postgres({ table: 'by_function', mode: 'append' }),
  }),
  definePipeline({ name: 'swapped', source, row, output, tolerate, transform: made, target: postgres({ table: 'swapped', mode: 'append' }) }),
  definePipeline({
    name: 'merged', source, row, output, tolerate, transform: made, checks: [rowsMatchSource()],
    target: postgres({ table: 'merged', mode: 'upsert', key: ['id'] }),
  }),
  definePipeline({
    name: 'by_region', source, row, output, tolerate, transform: made, partitionBy: column('region'), commit: 'partition',
    target: postgres({ table: 'by_region', mode: 'append' }),
  }),
  definePipeline({
    name: 'strict', source, row, output, transform: made, target: postgres({ table: 'strict', mode: 'append' }),
  }),
  definePipeline({
    name: 'refined', source, row, tolerate,
    output: z.object({ id: z.int(), low: z.number(), high: z.number() }).refine(({ low, high }) => low <= high, 'low is above high'),
    transform: sql\`select id, cents as low, 5000 - id as high from staging\`,
    target: postgres({ table: 'refined', mode: 'append' }),
  }),
  definePipeline({
    name: 'many_types', source, row, tolerate,
    output: z.object({
      id: z.int(), rounded: z.int(), padded: z.enum(['north', 'south', 'east']), tags: z.array(z.string()).max(2), facts: z.object({ id: z.int().max(28) }),
      any: z.any(), either: z.union([z.number().max(28), z.boolean()]), day: z.iso.date(), moment: z.iso.datetime(), big: z.bigint(), yes: z.boolean(),
      defaulted: z.string().default('x'),
    }),
    transform: sql\`
      select id, id::numeric(12, 2) as rounded, region::char(9) as padded, array[region] as tags, jsonb_build_object('id', id) as facts, 'plain'::text as any,
             id as either, date '2001-02-03' as day, now() as moment, id::numeric as big, true as yes, null::text as defaulted from staging\`,
    target: postgres({ table: 'many_types', mode: 'append' }),
  }),
  definePipeline({
    name: 'made_null', source, target: postgres({ table: 'made_null', mode: 'append' }),
    row: z.object({
      id: z.int(), region: z.string().transform((region) => (region === 'east' ? null : region)), at: z.union([z.string().nullable(), z.date()]),
      cents: z.int().transform(String).pipe(z.string()),
    }),
  }),
  definePipeline({
    name: 'lacking', source, row, output, transform: sql\`select id, region, at, 'a' as word from staging\`,
    target: postgres({ table: 'lacking', mode: 'append' }),
  }),
];`;

/** Of 30 orders, in the words of the quarantine. */
const REFUSED = [
  { column: 'amount', reason: 'output: greater than 50', ids: [29, 30] },
  { column: 'amount', reason: 'output: less than 0', ids: [1] },
  { column: 'region', reason: 'output: not one of north, south', ids: [13] },
  { column: 'word', reason: 'output: longer than 8', ids: [7, 14, 21, 28] },
];
const GOOD = Array.from({ length: 30 }, (_, index) => index + 1).filter((id) => !REFUSED.some(({ ids }) => ids.includes(id)));

let url: string;
let flow: Project;
let client: Client;

beforeAll(async () => {
  url = await freshDatabase('output');
  await query(
    url,
    `create table orders (id int primary key, region text, cents int, at timestamptz);
     insert into orders select i, case when i = 13 then 'east' when i % 2 = 0 then 'north' else 'south' end,
       case when i = 1 then -1 when i > 28 then 5001 else i end, case when i % 3 = 0 then now() end from generate_series(1, 30) i;
     create table merged (id int primary key, amount numeric(8, 2), region text, word text, at timestamptz);
     insert into merged values (1, 1, 'north', 'here', null), (2, 2, 'north', 'before', null);
     create table by_region (id int, amount double precision, region varchar(10), word text, at timestamptz);`,
  );
  flow = await project('output', url);
  await flow.write('copy.ts', COPY);
  client = await temporalClient();
  await startWorker(flow);
}, 60_000);

const ids = async (table: string) => (await query<{ id: number }>(url, `select id::int from ${table} order by id`)).map(({ id }) => id);

const quarantine = async ({ runKey }: RunSummary) =>
  await query(
    url,
    `select "column", reason, array_agg((convert_from(record, 'UTF8')::json ->> 'id')::int order by 1) as ids
     from (select *, (convert_from(record, 'UTF8')::json ->> 'id')::int from sluice.quarantine where run_key = $1 order by ordinal) as q group by 1, 2 order by 1, 2`,
    [runKey],
  );

test.each(['by_function', 'swapped', 'by_region'])('%s: what the schema refuses is in quarantine, the rest in the target', async (name) => {
  const run = await startRun(client, flow, name);
  const summary = await resultOf(run);
  expect(summary).toMatchObject({ rowsRead: 30, rowsLoaded: GOOD.length, rowsQuarantined: 8 });
  expect(await ids(name)).toEqual(GOOD);
  expect((await quarantine(summary)).map((row) => ({ ...row, ids: (row.ids as number[]).sort((a, b) => a - b) }))).toEqual(REFUSED);

  // And it is the same rows that are refused when they are made again.
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'verify', run.workflowId, '--json'], {
    cwd: flow.folder,
    env: flow.env,
  });
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ equal: true });
});

test('merged: a row of the target stays as it was where its new version is refused', async () => {
  const summary = await resultOf(await startRun(client, flow, 'merged'));
  expect(summary).toMatchObject({ rowsRead: 30, rowsQuarantined: 8 });
  expect(await ids('merged')).toEqual([1, ...GOOD]);
  expect(await query(url, 'select amount::float, word from merged where id < 3 order by id')).toEqual([
    { amount: 1, word: 'here' },
    { amount: 0.02, word: '\u{1F600}'.repeat(8) },
  ]);
});

test('where none are tolerated the run fails, and says why', async () => {
  const failure = await failureOf(await startRun(client, flow, 'strict'));
  expect(failure).toMatchObject({ type: 'TooManyQuarantined', message: expect.stringContaining('4 × word: output: longer than 8') });
  expect(await query(url, `select to_regclass('strict') as there`)).toEqual([{ there: null }]);
});

test('null that the row schema makes of a value, or takes in a union, goes into a table that the run creates', async () => {
  expect(await resultOf(await startRun(client, flow, 'made_null'))).toMatchObject({ rowsLoaded: 30, rowsQuarantined: 0 });
  expect(await query(url, 'select id::int from made_null where region is null')).toEqual([{ id: 13 }]);
  const columns = `select attname as name from pg_attribute where attrelid = 'made_null'::regclass and attnum > 0 and attnotnull order by attnum`;
  expect(await query(url, columns)).toEqual([{ name: 'id' }, { name: 'cents' }]);
});

test('a refinement of the whole row is asked of rows that SQL made', async () => {
  const summary = await resultOf(await startRun(client, flow, 'refined'));
  expect(await quarantine(summary)).toEqual([{ column: null, reason: 'output: low is above high', ids: [29, 30] }]);
  expect(await ids('refined')).toHaveLength(28);
});

test('values of other types are judged as what they are', async () => {
  const summary = await resultOf(await startRun(client, flow, 'many_types'));
  expect(await quarantine(summary)).toEqual([{ column: 'facts', reason: 'output: greater than 28', ids: [29, 30] }]);
  expect(await ids('many_types')).toHaveLength(28);
});

test('a column of the schema that the SQL does not give is a mistake', async () => {
  const run = await startRun(client, flow, 'lacking');
  expect(await failureOf(run)).toEqual({
    type: 'MissingColumn',
    message: 'lacking: the SQL transform gives no column "amount" of the output schema; it gives: id, region, at, word.',
  });
  expect(await attemptsAt(run, 'planRun')).toBe(1);
});
