/** What somebody has to mend: the run fails at once, and its message says what happened, where, and what to do. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Json } from '../../src/contracts/run.ts';
import { attemptsAt, failureOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker, type TestWorker } from '../helpers/workers.ts';

const MODULES = {
  'copy.ts': `
import { definePipeline, postgres, sql } from 'sluice';
import { z } from 'zod';
const params = z.object({
  source: z.string().optional(), from: z.string().default('shop.orders'),
  target: z.string().optional(), to: z.string().default('public.orders'), mode: z.string().default('append'), key: z.array(z.string()).optional(),
});
const source = ({ source, from }) => postgres({ url: source, table: from });
const target = ({ target, to, mode, key }) => postgres({ url: target, table: to, mode, key });
export default [
  definePipeline({ name: 'copy', params, source, target }),
  definePipeline({ name: 'colors', params, source, target, row: z.object({ id: z.int(), color: z.string() }) }),
  definePipeline({ name: 'dated', params, source, target, transform: sql\`select id, ordered as total from staging\` }),
  definePipeline({ name: 'faulty', params, source, target, transform: sql\`selct * from staging\` }),
];`,
  'lines.ts': `
import { csv, definePipeline, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: 'lines',
  params: z.object({ files: z.string(), from: z.iso.date().optional() }),
  source: ({ files }) => csv({ files }),
  row: z.object({ id: z.int() }),
  target: postgres({ table: 'lines', mode: 'append' }),
});`,
  'broken.ts': `
import { definePipeline, postgres } from 'sluice';
export default definePipeline({ name: 'broken', source: postgres({ table: 'orders' }),
  target: postgres({ table: 'orders', mode: 'upsert' }) });`,
  'torn.ts': 'export default definePipeline({',
};

let url: string;
let flow: Project;
let client: Client;
let worker: TestWorker;

beforeAll(async () => {
  url = await freshDatabase('mistakes');
  await query(
    url,
    `create schema shop;
     create table shop.orders (id int primary key, total numeric, ordered timestamptz);
     insert into shop.orders select i, i, now() from generate_series(1, 10) i;
     create table public.orders (id int, total numeric, ordered timestamptz);
     create table public.unlike (id int, total int, ordered int);
     create table public.narrow (id int, total numeric);
     create table public.wide (id int, total numeric, ordered timestamptz, place text not null);
     create view public.seen as select * from public.orders;`,
  );
  flow = await project('mistakes', url);
  for (const [file, text] of Object.entries(MODULES)) await flow.write(file, text);
  client = await temporalClient();
  worker = await startWorker(flow);
}, 60_000);

/** The database's URL with something else in it. */
function elsewhere(change: (url: URL) => void): string {
  const other = new URL(url);
  change(other);
  return other.href;
}

const where = () => new URL(url).host + new URL(url).pathname;

interface Mistake {
  readonly pipeline: string;
  readonly params?: () => Record<string, Json>;
  readonly type: string;
  /** How often it is tried before it is called a mistake. @default 1 */
  readonly attempts?: number;
  /** What the message has to say: what, where, what to do. */
  readonly says: (string | RegExp | (() => string))[];
}

const MISTAKES: Record<string, Mistake> = {
  'a wrong password at the source': {
    pipeline: 'copy',
    params: () => ({ source: elsewhere((to) => (to.password = 'wrong')) }),
    type: 'AuthenticationFailed',
    says: [() => `source postgres://${where()}`, 'password authentication failed', /Check the user and the password/],
  },
  'a wrong password at the target': {
    pipeline: 'copy',
    params: () => ({ target: elsewhere((to) => (to.password = 'wrong')) }),
    type: 'AuthenticationFailed',
    says: [() => `target postgres://${where()}`, 'password authentication failed', /Check the user and the password/],
  },
  'no password at all': {
    pipeline: 'copy',
    params: () => ({ target: elsewhere((to) => (to.password = '')) }),
    type: 'AuthenticationFailed',
    says: [() => `target postgres://${where()}`, /Put a password into the connection URL/],
  },
  'a host that is not known at the source': {
    pipeline: 'copy',
    params: () => ({ source: elsewhere((to) => (to.hostname = 'no-such-host.invalid')) }),
    type: 'UnknownHost',
    says: [/source postgres:\/\/no-such-host\.invalid:\d+\/mistakes/, 'cannot be resolved', /Check the host/],
  },
  'a host that is not known at the target': {
    pipeline: 'copy',
    params: () => ({ target: elsewhere((to) => (to.hostname = 'no-such-host.invalid')) }),
    type: 'UnknownHost',
    says: [/target postgres:\/\/no-such-host\.invalid:\d+\/mistakes/, 'cannot be resolved', /Check the host/],
  },
  'a connection URL that cannot be read': {
    pipeline: 'copy',
    params: () => ({ target: 'postgres://sluice:50#off@127.0.0.1/app' }),
    type: 'InvalidUrl',
    says: ['target: the connection URL cannot be read', /write special characters/],
  },
  'a missing database': {
    pipeline: 'copy',
    params: () => ({ source: elsewhere((to) => (to.pathname = '/nowhere')) }),
    type: 'MissingDatabase',
    says: [/source postgres:\/\/[^/]+\/nowhere/, 'database "nowhere" does not exist', /Check the database name/],
  },
  'a missing table': {
    pipeline: 'copy',
    params: () => ({ from: 'orderz' }),
    type: 'MissingTable',
    says: [() => `source postgres://${where()}`, 'there is no table "orderz"', /Check the name/],
  },
  'a table that is in another schema': {
    pipeline: 'copy',
    params: () => ({ from: 'shop.narrow' }),
    type: 'MissingTable',
    says: ['there is no table "shop.narrow"', 'There is "public.narrow": name it with its schema'],
  },
  'a missing schema at the target': {
    pipeline: 'copy',
    params: () => ({ to: 'warehouse.orders' }),
    type: 'MissingSchema',
    says: [() => `target postgres://${where()}`, '"warehouse.orders"', 'schema "warehouse"', /Create the schema/],
  },
  "a table in the ledger's own schema": {
    pipeline: 'copy',
    params: () => ({ to: 'sluice.orders' }),
    type: 'ReservedSchema',
    says: [() => `target postgres://${where()}`, 'schema "sluice", which is Sluice\'s own', "'public.orders'"],
  },
  'a view as target': {
    pipeline: 'copy',
    params: () => ({ to: 'seen' }),
    type: 'MissingTable',
    says: [() => `target postgres://${where()}`, '"seen" is not a table', /Name a table/],
  },
  'a column of the row schema that the source lacks': {
    pipeline: 'colors',
    type: 'MissingColumn',
    says: [/postgres:\/\/.* table shop\.orders/, 'no column "color"', 'It has: id, total, ordered'],
  },
  'a column that the target lacks': {
    pipeline: 'copy',
    params: () => ({ to: 'narrow' }),
    type: 'MissingColumn',
    says: [
      () => `target postgres://${where()}`,
      'table "narrow" has no column "ordered"',
      /Add it, or leave it out/,
      'Nothing was changed',
    ],
  },
  'a column of the target that nothing fills': {
    pipeline: 'copy',
    params: () => ({ to: 'wide' }),
    type: 'SchemaDoesNotFit',
    says: [() => `target postgres://${where()}`, 'column "place" of table "wide"', 'no default'],
  },
  'a type that does not fit': {
    pipeline: 'copy',
    params: () => ({ to: 'unlike' }),
    type: 'TypeMismatch',
    says: [
      () => `target postgres://${where()}`,
      'column "ordered" is timestamp with time zone',
      'integer in table "unlike"',
      /Change the table/,
    ],
  },
  'a type that the transform gives and that does not fit': {
    pipeline: 'dated',
    params: () => ({ to: 'unlike' }),
    type: 'TypeMismatch',
    says: [
      'column "total" is timestamp with time zone in the result of the SQL transform',
      'integer in table "unlike"',
      /Change the table/,
    ],
  },
  'SQL with a mistake in it': {
    pipeline: 'faulty',
    type: 'InvalidSql',
    says: [() => `target postgres://${where()}`, 'syntax error at or near', /Correct the SQL/],
  },
  'a target without the unique index of its key': {
    pipeline: 'copy',
    params: () => ({ mode: 'upsert', key: ['id'] }),
    type: 'MissingUniqueIndex',
    says: [() => `target postgres://${where()}`, 'no unique index on exactly (id)', 'CREATE UNIQUE INDEX ON "public"."orders" ("id")'],
  },
  'a missing file': {
    pipeline: 'lines',
    params: () => ({ files: 'data/*.csv' }),
    type: 'MissingFile',
    says: ['No file matches "data/*.csv"', () => flow.folder, /Check the path/],
  },
  'a parameter that does not fit': {
    pipeline: 'lines',
    params: () => ({ files: 'x.csv', from: 'yesterday' }),
    type: 'InvalidDefinition',
    says: ['pipeline "lines": parameter "from"', 'It takes: files, from'],
  },
  'a parameter that there is not': {
    pipeline: 'lines',
    params: () => ({ files: 'x.csv', form: '2001-01-01' }),
    type: 'InvalidDefinition',
    says: ['pipeline "lines"', 'form', 'It takes: files, from'],
  },
  'a pipeline that the worker does not know': {
    pipeline: 'flihgts',
    type: 'UnknownPipeline',
    attempts: 20,
    says: ['pipeline "flihgts" is not known', 'There are: ', 'copy', /Check the name, or start workers where its module is/],
  },
  'a pipeline whose module is broken': {
    pipeline: 'broken',
    type: 'UnknownPipeline',
    attempts: 20,
    says: ['pipeline "broken" is not known', 'could not be used', 'pipelines/broken.ts', 'mode "upsert" needs a key'],
  },
};

test.each(Object.entries(MISTAKES))('%s fails the run at once and says so', async (_, { pipeline, params, type, says, attempts = 1 }) => {
  // When a run with the mistake is started
  const started = Date.now();
  const run = await startRun(client, flow, pipeline, params?.() ?? {});
  const failure = await failureOf(run);

  // Then it fails at once (what another worker might know after some seconds), with a message that says what, where, and what to do
  for (const each of says) {
    const said = typeof each === 'function' ? each() : each;
    if (typeof said === 'string') expect(failure.message).toContain(said);
    else expect(failure.message).toMatch(said);
  }
  expect(failure.type).toBe(type);
  expect(await attemptsAt(run, 'planRun')).toBe(attempts);
  expect(Date.now() - started).toBeLessThan(attempts > 1 ? 20_000 : 10_000);
  // And without a secret in it
  expect(failure.message).not.toContain(new URL(url).password);
  expect((await run.describe()).status.name).toBe('FAILED');
});

test('a module that cannot be read is told in the log of the worker, and the others work', async () => {
  expect(await worker.log()).toMatch(/pipelines\/torn\.ts/);
});

test('a folder where a file should be, and an empty file', async () => {
  // Given both
  await mkdir(join(flow.folder, 'folder.csv'));
  await writeFile(join(flow.folder, 'empty.csv'), '');

  // When runs read them
  const folder = await failureOf(await startRun(client, flow, 'lines', { files: 'folder.csv' }));
  const empty = await failureOf(await startRun(client, flow, 'lines', { files: 'empty.csv' }));

  // Then each says what is wrong with it
  expect(folder).toMatchObject({ type: 'MissingFile', message: expect.stringContaining('folder.csv') });
  expect(empty.message).toContain('empty.csv');
});
