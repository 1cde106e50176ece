/** What readers of the target see while a run is loaded into it: the state before the commit or the one after it, never another. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import { cleanups } from '../helpers/cleanup.ts';
import { type Gate, gateAt, gateAtCommand } from '../helpers/gate.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { seedFlights } from '../helpers/seed.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { until } from '../helpers/wait.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const ROWS = 12_000;
const READERS = 4;
/** Looks that the readers take while the rows are written and not committed. */
const LOOKS = 40;

let url: string;
let flow: Project;
let client: Client;

/** Loads all flights, or the even ones, each row saying which run has loaded it. */
const pipeline = (name: string, options: string) => `
import { definePipeline, postgres, region } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: '${name}',
  params: z.object({ version: z.string(), only: z.string().default('true') }),
  source: ({ version, only }) =>
    postgres({ query: "select id, month, delay, '" + version + "'::text as version from flights where " + only, key: ['id'] }),
  ${options}
  chunk: { rows: 5_000 },
});`;

beforeAll(async () => {
  url = await freshDatabase('readers');
  flow = await project('readers', url);
  await seedFlights(url, 'flights', ROWS);
  const write = (name: string, target: string, options = '') =>
    flow.write(`${name}.ts`, pipeline(name, `target: postgres({ table: '${name.replaceAll('-', '_')}', ${target} }), ${options}`));
  await write('replace-table', `mode: 'replace'`);
  await write('replace-partitions', `mode: 'replace', scope: 'partition'`, `partitionBy: region('month'),`);
  await write('upsert', `mode: 'upsert', key: ['id']`);
  await write('append', `mode: 'append'`);
  await write(
    'each-partition',
    `mode: 'replace', scope: 'partition'`,
    `partitionBy: region('month'), commit: 'partition', concurrency: 2,`,
  );
  await write('first-load', `mode: 'append', key: ['id']`);
  client = await temporalClient();
  await startWorker(flow);
});

/** Readers on connections of their own, each looking again and again. A look is what `text` gives, as JSON. */
async function readers(text: string) {
  const seen = new Map<string, number>();
  let looks = 0;
  let over = false;
  const one = async () => {
    const session = new pg.Client({ connectionString: url });
    session.on('error', () => {});
    await session.connect();
    while (!over) {
      const look = await session
        .query(text)
        .then(({ rows }) => JSON.stringify(rows))
        .catch((error: { code?: string; message: string }) => (error.code === '42P01' ? 'no table' : `failed: ${error.message}`));
      seen.set(look, (seen.get(look) ?? 0) + 1);
      looks += 1;
      await delay(2);
    }
    await session.end();
  };
  const all = Promise.all(Array.from({ length: READERS }, one));
  const stop = async () => {
    over = true;
    await all;
  };
  cleanups.push(stop);
  return {
    seen: () => [...seen.keys()],
    stop,
    /** Waits until so many looks more have been taken. */
    more: async (count: number) => {
      const enough = looks + count;
      await until(`the readers have looked ${count} times`, async () => looks >= enough);
    },
  };
}

const VERSIONS = (table: string) => `select version, count(*)::int as rows, sum(delay)::int as delays from ${table} group by 1 order by 1`;

/** Runs a pipeline whose load is held after it has written, and says what the readers saw before, in the middle and all in all. */
async function watch(name: string, gate: Gate, text: string, params: Record<string, string>) {
  const looking = await readers(text);
  await looking.more(LOOKS);
  const before = looking.seen();
  await gate.close();
  const run = await startRun(client, flow, name, params);
  await gate.waiting();
  await looking.more(LOOKS);
  const during = looking.seen();
  await gate.open();
  await resultOf(run);
  const after = JSON.stringify(await query(url, text));
  await looking.more(LOOKS);
  await looking.stop();
  return { before, during, after, seen: looking.seen() };
}

test.each([
  ['replace-table', 'insert or delete', 'true', 'true'],
  ['replace-partitions', 'insert or delete', `month <= '2001-04'`, `month >= '2001-03'`],
  ['upsert', 'insert or update', 'id % 2 = 0', 'true'],
  ['append', 'insert', 'true', 'true'],
])('%s: readers see the rows before or the rows after', async (name, events, first, second) => {
  const table = name.replaceAll('-', '_');
  await resultOf(await startRun(client, flow, name, { version: 'one', only: first }));
  const gate = await gateAt(url, table, { events });
  const { before, during, after, seen } = await watch(name, gate, VERSIONS(table), { version: 'two', only: second });
  expect(before).toHaveLength(1);
  expect(during).toEqual(before);
  expect(after).not.toBe(before[0]);
  expect(seen).toEqual([before[0], after]);
});

test('first load into a missing table: readers see no table or all rows', async () => {
  // Given that the load is held when the rows are in and the key is built
  const gate = await gateAtCommand(url, 'ALTER TABLE');
  const { before, during, after, seen } = await watch('first-load', gate, VERSIONS('first_load'), { version: 'one' });
  expect(before).toEqual(['no table']);
  expect(during).toEqual(['no table']);
  expect(JSON.parse(after)).toEqual([{ version: 'one', rows: ROWS, delays: expect.any(Number) }]);
  expect(seen).toEqual(['no table', after]);
});

test('committed by partition: readers see each partition before or after', async () => {
  await resultOf(await startRun(client, flow, 'each-partition', { version: 'one' }));
  const text = `select month, version, count(*)::int as rows, sum(delay)::int as delays from each_partition group by 1, 2 order by 1, 2`;
  // Given that the load of one partition is held after it has written
  const gate = await gateAt(url, 'each_partition', { when: `new.month = '2001-06' and new.id % 1000 = 6` });
  const { before, during, after, seen } = await watch('each-partition', gate, text, { version: 'two' });
  type Look = { month: string; version: string; rows: number; delays: number }[];
  const [old, fresh] = [JSON.parse(before[0] ?? '') as Look, JSON.parse(after) as Look];
  expect(fresh.map((each) => each.version)).toEqual(Array(6).fill('two'));
  expect(before).toHaveLength(1);
  // Others were committed before it, one by one
  expect(during.length).toBeGreaterThan(1);
  for (const look of seen.map((each) => JSON.parse(each) as Look)) {
    expect(look).toHaveLength(6);
    for (const [at, month] of look.entries()) expect([old[at], fresh[at]]).toContainEqual(month);
  }
});
