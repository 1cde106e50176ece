/** The SQL of docs/operations/grants.md is enough, and none of it is too much. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { attemptsAt, failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, ownPostgres, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const PAGE = readFileSync(join(__dirname, '../../docs/operations/grants.md'), 'utf8');

/** A block of SQL of the page, by the word after `sql`, for a database. */
function block(name: string, database: string): string {
  const text = new RegExp(`^\`\`\`sql ${name}\\n(.*?)^\`\`\``, 'ms').exec(PAGE)?.[1];
  if (!text) throw new Error(`the page has no block "${name}"`);
  return text.replaceAll(/\bapp\b/g, database);
}

interface Grant {
  readonly privilege: string;
  readonly on: string;
  readonly role: string;
}

/** Each privilege of a block by itself. */
function grantsOf(sql: string): Grant[] {
  return [...sql.matchAll(/^GRANT (.+) ON (.+) TO (\w+);$/gm)].flatMap(([, privileges = '', on = '', role = '']) =>
    privileges.split(', ').map((privilege) => ({ privilege, on, role })),
  );
}

const COPY = `
import { definePipeline, postgres } from 'sluice';
import { z } from 'zod';
const params = z.object({ source: z.string(), target: z.string(), mode: z.string() });
const source = ({ source }) => postgres({ url: source, table: 'shop.orders' });
const target = ({ target, mode }) => postgres({ url: target, table: 'warehouse.orders', mode, key: ['id'] });
export default [
  definePipeline({ name: 'orders', params, source, target }),
  definePipeline({ name: 'newest', params, source, target, incremental: { cursor: 'changed' } }),
];`;

/** What a run needs, as blocks of the page. */
const SETUPS: Record<string, { readonly blocks: readonly string[]; readonly mode: string; readonly exists: boolean }> = {
  'append, schemas prepared': { blocks: ['source', 'prepared', 'append'], mode: 'append', exists: true },
  'upsert, schemas prepared': { blocks: ['source', 'prepared', 'upsert'], mode: 'upsert', exists: true },
  'replace, schemas prepared': { blocks: ['source', 'prepared', 'replace'], mode: 'replace', exists: true },
  'the role creates schemas and table': { blocks: ['source', 'creating', 'created'], mode: 'upsert', exists: false },
};

let server: URL;
let flow: Project;
let client: Client;
let databases = 0;

beforeAll(async () => {
  // Given a server of its own, whose roles are those of the page
  server = new URL((await ownPostgres({ fsync: 'off' })).url);
  await query(server.href, block('roles', ''));
  flow = await project('grants', await freshDatabase('grants'));
  await flow.write('orders.ts', COPY);
  client = await temporalClient();
  await startWorker(flow);
}, 60_000);

function urlFor(database: string, role?: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  if (role) {
    url.username = role;
    url.password = new RegExp(`ROLE ${role} LOGIN PASSWORD '(.*)'`).exec(PAGE)?.[1] ?? '';
  }
  return url.href;
}

/** A database that grants nothing to anybody, with the example's tables in it. */
async function bareDatabase(exists: boolean): Promise<string> {
  const database = `app_${++databases}`;
  await query(server.href, `create database ${database}`);
  await query(
    urlFor(database),
    `revoke all on database ${database} from public; revoke all on schema public from public;
     create schema shop; create schema warehouse;
     create table shop.orders (id int primary key, total numeric, changed timestamptz default now());
     insert into shop.orders select i, i from generate_series(1, 50) i;
     ${exists ? 'create table warehouse.orders (like shop.orders including all); insert into warehouse.orders select 1000, 1' : ''}`,
  );
  return database;
}

async function run(database: string, mode: string, pipeline = 'orders'): Promise<WorkflowHandle> {
  const params = { source: urlFor(database, 'sluice_source'), target: urlFor(database, 'sluice_target'), mode };
  return await startRun(client, flow, pipeline, params);
}

const ROWS = { append: 51, upsert: 51, replace: 50 } as Record<string, number>;

test.each(Object.entries(SETUPS))('%s: the grants of the page are enough', async (_, { blocks, mode, exists }) => {
  const database = await bareDatabase(exists);
  for (const each of blocks) await query(urlFor(database), block(each, database));

  const summary = await resultOf(await run(database, mode));

  expect(summary).toMatchObject({ rowsRead: 50, rowsLoaded: 50 });
  const rows = exists ? ROWS[mode] : 50;
  expect(await query(urlFor(database), 'select count(*)::int as rows from warehouse.orders')).toEqual([{ rows }]);
  expect(await query(urlFor(database), `select from pg_tables where schemaname = 'sluice_staging'`)).toEqual([]);
});

/** Each grant by itself; what the setups have in common once, and grants on the table once for each mode. */
const DISTINCT = new Map<string, [string, string, string, string, (typeof SETUPS)[string]]>();
for (const [name, setup] of Object.entries(SETUPS)) {
  for (const { privilege, on, role } of setup.blocks.flatMap((each) => grantsOf(block(each, 'app')))) {
    const key = `${privilege} ${on} ${role} ${on === 'warehouse.orders' ? setup.mode : ''}`;
    if (!DISTINCT.has(key)) DISTINCT.set(key, [name, privilege, on, role, setup]);
  }
}

test.each([...DISTINCT.values()])(
  '%s, without %s on %s for %s: refused, and the grant is named',
  async (_, privilege, object, role, { blocks, mode, exists }) => {
    // Given all grants of the page but one
    const database = await bareDatabase(exists);
    for (const each of blocks) await query(urlFor(database), block(each, database));
    const on = object.replaceAll(/\bapp\b/g, database);
    await query(urlFor(database), `revoke ${privilege} on ${on} from ${role}`);

    // When a run is started
    const refused = await run(database, mode);
    const { message, type } = await failureOf(refused);

    // Then it fails at the first attempt, and names the role's side, the grant and what it is on
    expect(type).toBe('MissingGrant');
    expect(message).toContain(role === 'sluice_source' ? 'source postgres://' : 'target postgres://');
    expect(message).toMatch(new RegExp(`\\b${privilege}\\b`));
    const name = on.split(' ').at(-1) ?? '';
    expect(message.replaceAll('"', '')).toContain(name);
    expect(await attemptsAt(refused, 'planRun')).toBe(1);
    // And nothing has happened in the target
    if (exists) expect(await query(urlFor(database), 'select count(*)::int as rows from warehouse.orders')).toEqual([{ rows: 1 }]);
  },
);

test('an incremental pipeline needs to see the transactions of others, and says so', async () => {
  // Given the grants of the page without that one
  const database = await bareDatabase(true);
  for (const each of ['source', 'prepared', 'upsert']) await query(urlFor(database), block(each, database));

  // When a run is started while another role is connected, then it fails and names the grant
  const refused = await failureOf(await run(database, 'upsert', 'newest'));
  expect(refused).toMatchObject({ type: 'MissingGrant', message: expect.stringContaining('GRANT pg_read_all_stats TO "sluice_source"') });

  // And with it, it works
  await query(urlFor(database), block('incremental', database));
  expect(await resultOf(await run(database, 'upsert', 'newest'))).toMatchObject({ rowsLoaded: 50 });
});

test('a ledger that belongs to another role is refused, and both are named', async () => {
  // Given a ledger that an administrator's run has made
  const database = await bareDatabase(true);
  for (const each of ['source', 'prepared', 'append']) await query(urlFor(database), block(each, database));
  const asAdministrator = { source: urlFor(database), target: urlFor(database), mode: 'append' };
  await resultOf(await startRun(client, flow, 'orders', asAdministrator));

  // When the role runs, then it is told whose the ledger is
  const { message, type } = await failureOf(await run(database, 'append'));
  expect(type).toBe('MissingGrant');
  expect(message).toMatch(/the ledger in schema "sluice" belongs to role "postgres", and role "sluice_target" may not use it/);
});
