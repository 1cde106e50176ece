/** Every common PostgreSQL type arrives as it was, by binary COPY where it can, in all modes. */
import type { Client } from '@temporalio/client';
import { BUILT_IN, columnsOf, createTable, createTypes, fillTable, OWN, valuesOf } from '../helpers/every-type.ts';
import { resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

let source: string;
let target: string;
let flow: Project;
let client: Client;

beforeAll(async () => {
  [source, target] = await Promise.all([freshDatabase('types_source'), freshDatabase('types_target')]);
  await Promise.all([createTypes(source), createTypes(target, 7)]);
  await createTable(source, 'built_in', BUILT_IN);
  await fillTable(source, 'built_in', BUILT_IN);
  await createTable(source, 'own', OWN);
  await fillTable(source, 'own', OWN);
  flow = await project('types', target);
  client = await temporalClient();
  await Promise.all(PIPELINES.map(([name, text]) => flow.write(`${name}.ts`, definition(name, text))));
  await startWorker(flow);
});

const PIPELINES: [string, string][] = [];

function definition(name: string, text: string): string {
  return `
import { definePipeline, column, keyRange, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({ name: '${name}', ${text.replaceAll('SOURCE', `url: '${source}'`)} });`;
}

/** Declares a pipeline; all are there before the worker starts. */
function pipeline(name: string, text: string): string {
  PIPELINES.push([name, text]);
  return name;
}

/** Runs a pipeline to its end; tells how the rows travelled and what the commit changed. */
async function run(name: string) {
  const summary = await resultOf(await startRun(client, flow, name));
  const [ledger] = await query<{ transfer: string; changed: number }>(
    target,
    `select r.plan ->> 'transfer' as transfer, sum((c.result ->> 'rowsChanged')::int)::int as changed
     from sluice.runs r join sluice.commits c using (run_key) where run_key = $1 group by 1`,
    [summary.runKey],
  );
  return { ...summary, transfer: ledger?.transfer, changed: ledger?.changed };
}

/** The rows that a transaction wrote, so that one which was left alone can be told from one written again. */
const versions = async (table: string) =>
  (await query<{ xmin: string }>(target, `select xmin::text from ${table} order by id`)).map((row) => row.xmin);

describe('arrays with a row schema', () => {
  pipeline(
    'arrays',
    `source: postgres({ SOURCE, table: 'arrays' }), target: postgres({ table: 'arrays', mode: 'append' }), tolerate: { quarantined: 1 },
     row: z.object({ id: z.int(), tags: z.array(z.string().nullable()).max(2).nullable(), sizes: z.array(z.number()), grid: z.array(z.array(z.int())) })`,
  );
  test('are judged as the arrays that they are, and arrive as such', async () => {
    await query(source, 'create table arrays (id int primary key, tags text[], sizes numeric(10,3)[] not null, grid int[] not null)');
    await query(
      source,
      `insert into arrays values (1, '{a,"b, c"}', '{1.500}', '{{1,2},{3,4}}'), (2, null, '{}', '{}'), (3, '{NULL,"NULL"}', '{2,-0.001}', '{{5}}'),
       (4, '{a,b,c}', '{1}', '{}')`,
    );
    expect(await run('arrays')).toMatchObject({ transfer: 'records', rowsLoaded: 3, rowsQuarantined: 1 });
    expect(await valuesOf(target, 'arrays')).toEqual((await valuesOf(source, 'arrays')).slice(0, 3));
    expect(await columnsOf(target, 'arrays')).toEqual(await columnsOf(source, 'arrays'));
  });
});

describe('PostgreSQL to PostgreSQL, every type', () => {
  pipeline('equal', `source: postgres({ SOURCE, table: 'built_in' }), target: postgres({ table: 'equal', mode: 'append' })`);
  test('into an equal table: by binary COPY', async () => {
    await createTable(target, 'equal', BUILT_IN);
    expect(await run('equal')).toMatchObject({ transfer: 'binary', rowsLoaded: 5, rowsQuarantined: 0 });
    expect(await valuesOf(target, 'equal')).toEqual(await valuesOf(source, 'built_in'));
  });

  pipeline(
    'created',
    `source: postgres({ SOURCE, table: 'built_in' }), target: postgres({ table: 'created', mode: 'upsert', key: ['id'] })`,
  );
  test('into a table that Sluice creates: the same types', async () => {
    expect(await run('created')).toMatchObject({ transfer: 'binary', rowsLoaded: 5 });
    expect(await columnsOf(target, 'created')).toEqual(await columnsOf(source, 'built_in'));
    expect(await valuesOf(target, 'created')).toEqual(await valuesOf(source, 'built_in'));
  });

  pipeline('own_equal', `source: postgres({ SOURCE, table: 'own' }), target: postgres({ table: 'own_equal', mode: 'append' })`);
  pipeline('own_created', `source: postgres({ SOURCE, table: 'own' }), target: postgres({ table: 'own_created', mode: 'append' })`);
  test("types of one's own, which each database numbers for itself: by text", async () => {
    const numbers = async (url: string) => await query(url, `select 'mood[]'::regtype::oid as mood, 'pair'::regtype::oid as pair`);
    expect(await numbers(source)).not.toEqual(await numbers(target));
    await createTable(target, 'own_equal', OWN);
    expect(await run('own_equal')).toMatchObject({ transfer: 'text', rowsLoaded: 5 });
    expect(await run('own_created')).toMatchObject({ transfer: 'text', rowsLoaded: 5 });
    const expected = await valuesOf(source, 'own');
    expect(await valuesOf(target, 'own_equal')).toEqual(expected);
    expect(await valuesOf(target, 'own_created')).toEqual(expected);
    expect(await columnsOf(target, 'own_created')).toEqual(await columnsOf(source, 'own'));
  });

  pipeline(
    'refined',
    `source: postgres({ SOURCE, table: 'built_in' }), target: postgres({ table: 'refined', mode: 'append' }),
     row: z.object({ id: z.int(), ${BUILT_IN.map(([name]) => `${name}: z.string().nullable()`).join(', ')} }).refine((row) => row.id < 100)`,
  );
  test('row by row, where a row schema asks for it', async () => {
    await createTable(target, 'refined', BUILT_IN);
    expect(await run('refined')).toMatchObject({ transfer: 'records', rowsLoaded: 5, rowsQuarantined: 0 });
    expect(await valuesOf(target, 'refined')).toEqual(await valuesOf(source, 'built_in'));
  });

  pipeline(
    'careful',
    `source: postgres({ SOURCE, table: 'built_in' }), target: postgres({ table: 'careful', mode: 'append' }), tolerate: { quarantined: 1 }`,
  );
  test('row by row, where the target refuses one of the rows', async () => {
    await createTable(target, 'careful', BUILT_IN);
    await query(target, 'alter table careful alter c_varchar type varchar(19)');
    expect(await run('careful')).toMatchObject({ transfer: 'binary', rowsLoaded: 4, rowsQuarantined: 1 });
    const expected = (await valuesOf(source, 'built_in')).filter((row) => row.id !== '2');
    expect(await valuesOf(target, 'careful')).toEqual(expected);
    const [bad] = await query<{ column: string; reason: string; record: Buffer }>(
      target,
      `select "column", q.reason, record from sluice.quarantine q join sluice.runs using (run_key) where pipeline = 'careful'`,
    );
    expect(bad).toMatchObject({ column: 'c_varchar', reason: 'longer than 19' });
    expect(JSON.parse(bad?.record.toString() ?? '')).toMatchObject({ id: '2', c_varchar: '😀'.repeat(20) });
  });
});

describe('types that differ between source and target', () => {
  const cases: readonly [string, string, string, string, string][] = [
    // name, type in the source, type in the target, two values
    ['widened', 'smallint', 'integer', '-32768', '32767'],
    ['widened_more', 'integer', 'bigint', '-2147483648', '7'],
    ['widened_to_numeric', 'bigint', 'numeric(20,0)', '-9223372036854775808', '9223372036854775807'],
    ['lengthened', 'varchar(3)', 'text', `''`, `'äbc'`],
    ['shortened', 'text', 'varchar(3)', `''`, `'äbc'`],
    ['rounded', 'numeric', 'numeric(4,1)', '1.25', `'NaN'`],
  ];
  const byText: readonly [string, string, string, string, string][] = [
    ['as_text', 'integer', 'text', '7', '-7'],
    ['from_text', 'text', 'integer', `'7'`, `' -7 '`],
    ['truncated', 'timestamptz', 'date', `'2001-02-03 04:05:06+00'`, `'infinity'`],
    ['with_zone', 'timestamp', 'timestamptz', `'2001-02-03 04:05:06.789012'`, `'-infinity'`],
    ['json_as_jsonb', 'json', 'jsonb', `'{ "b": 1.0, "a": [null] }'`, `'"text"'`],
    ['jsonb_as_text', 'jsonb', 'text', `'{"b": 1.0, "a": "\\\\n"}'`, `'null'`],
    ['uuid_as_text', 'uuid', 'text', `'6ba7b810-9dad-11d1-80b4-00c04fd430c8'`, `'00000000-0000-0000-0000-000000000000'`],
    ['mood_as_text', 'mood', 'text', `'very "happy", {yes}'`, `''`],
    ['inet_as_cidr', 'inet', 'cidr', `'10.0.0.0/8'`, `'::1'`],
    ['bytea_as_text', 'bytea', 'text', `'\\x00ff'`, `''`],
    ['double_as_numeric', 'double precision', 'numeric', '0.1', `'NaN'`],
    ['array_as_text', 'text[]', 'text', `array['a,b', null, '\\']`, `'{}'`],
  ];
  const create = async (name: string, rows: typeof cases) => {
    const columns = (type: 1 | 2) => rows.map((row) => `${row[0]} ${row[type]}`).join(', ');
    await query(source, `create table ${name} (id integer primary key, ${columns(1)})`);
    for (const id of [1, 2] as const)
      await query(source, `insert into ${name} values (${[id, ...rows.map((row) => row[id === 1 ? 3 : 4])].join(', ')})`);
    await query(source, `insert into ${name} (id) values (3)`);
    await query(target, `create table ${name} (id integer primary key, ${columns(2)})`);
  };
  /** What PostgreSQL itself makes of the text of each value; types that only the source has do not matter here. */
  const converted = async (name: string, rows: typeof cases) => {
    const text = await valuesOf(source, name);
    await query(target, `create temporary table t (id int)`);
    await query(target, `create table ${name}_expected (like ${name})`);
    for (const row of text)
      await query(
        target,
        `insert into ${name}_expected values ($1, ${rows.map((each, at) => `$${at + 2}::text::${each[2]}`).join(', ')})`,
        Object.values(row),
      );
    return await valuesOf(target, `${name}_expected`);
  };

  pipeline('wider', `source: postgres({ SOURCE, table: 'wider' }), target: postgres({ table: 'wider', mode: 'append' })`);
  test('still by binary COPY where that means the same', async () => {
    await create('wider', cases);
    expect(await run('wider')).toMatchObject({ transfer: 'binary', rowsLoaded: 3 });
    expect(await valuesOf(target, 'wider')).toEqual(await converted('wider', cases));
  });

  pipeline('other', `source: postgres({ SOURCE, table: 'other' }), target: postgres({ table: 'other', mode: 'append' })`);
  test('by text everywhere else', async () => {
    await create('other', byText);
    expect(await run('other')).toMatchObject({ transfer: 'text', rowsLoaded: 3, rowsQuarantined: 0 });
    expect(await valuesOf(target, 'other')).toEqual(await converted('other', byText));
  });
});

describe('all modes', () => {
  pipeline(
    'upserted',
    `source: postgres({ SOURCE, table: 'changing' }), target: postgres({ table: 'upserted', mode: 'upsert', key: ['id'] })`,
  );
  pipeline('replaced', `source: postgres({ SOURCE, table: 'changing' }), target: postgres({ table: 'replaced', mode: 'replace' })`);
  pipeline(
    'replaced_parts',
    `source: postgres({ SOURCE, table: 'changing' }), partitionBy: keyRange('id', 2), commit: 'partition',
     target: postgres({ table: 'replaced_parts', mode: 'replace', scope: 'partition' })`,
  );

  beforeAll(async () => {
    await createTable(source, 'changing', BUILT_IN);
    await fillTable(source, 'changing', BUILT_IN);
    for (const table of ['upserted', 'replaced', 'replaced_parts']) await createTable(target, table, BUILT_IN);
  });

  test('what has not changed is left alone, and a change that no `=` sees is a change', async () => {
    for (const name of ['upserted', 'replaced', 'replaced_parts']) {
      expect(await run(name)).toMatchObject({ rowsLoaded: 5, unchanged: false });
      expect(await valuesOf(target, name)).toEqual(await valuesOf(source, 'changing'));
      const before = await versions(name);
      expect(await run(name)).toMatchObject({ rowsLoaded: 5, changed: 0, unchanged: true });
      expect(await versions(name)).toEqual(before);
    }

    // When values change to others that are equal to them, and one json, which has no equality.
    const before = await Promise.all(['upserted', 'replaced_parts'].map(versions));
    for (const change of [
      `c_numeric = 1.00`,
      `c_json = '{ "b": 1.0,  "a": [1, null],  "b": "twice" }'`,
      `c_interval = '12 mons 60 days'`,
    ]) {
      await query(source, `update changing set ${change} where id = 1`);
      expect(await run('upserted')).toMatchObject({ rowsLoaded: 5, changed: 1, unchanged: false });
      expect(await run('replaced')).toMatchObject({ rowsLoaded: 5, unchanged: false });
      expect(await run('replaced_parts')).toMatchObject({ rowsLoaded: 5, unchanged: false });
      for (const name of ['upserted', 'replaced', 'replaced_parts']) {
        expect(await valuesOf(target, name)).toEqual(await valuesOf(source, 'changing'));
      }
    }
    // Then rows and partitions without a change have stayed as they were.
    const after = await Promise.all(['upserted', 'replaced_parts'].map(versions));
    expect(after.map((each) => each.slice(2))).toEqual(before.map((each) => each.slice(2)));
    expect(after[0]?.[0]).not.toBe(before[0]?.[0]);
  });
});

describe('names that need quotes', () => {
  const TABLE = `The "Odd" select; Täble`;
  const quoted = `"The ""Odd"" select; Täble"`;
  const columns = [
    'Id',
    'select',
    'with space',
    `quo"te`,
    `apo'strophe`,
    'per%cent',
    '$1',
    'ключ',
    'back\\slash',
    'colon:name',
    'rows',
    'value',
    '__proto__',
  ];
  const list = columns.map((name) => `"${name.replaceAll('"', '""')}"`);
  const literal = JSON.stringify(TABLE);

  pipeline(
    'odd_created',
    `source: postgres({ SOURCE, table: ${literal} }), target: postgres({ table: ${literal}, mode: 'upsert', key: ['Id', 'select'] }), partitionBy: column('with space')`,
  );
  pipeline(
    'odd_replaced',
    `source: postgres({ SOURCE, table: ${literal} }), target: postgres({ table: 'Up.${'Per "x"'}', mode: 'replace', scope: 'partition' }), partitionBy: keyRange('Id', 2)`,
  );
  pipeline(
    'odd_refused',
    `source: postgres({ SOURCE, table: ${literal} }), target: postgres({ table: 'odd_refused', mode: 'append', key: ['Id'] }), tolerate: { quarantined: 3 },
     row: z.object({ Id: z.int(), 'colon:name': z.string().nullable(), 'quo"te': z.string().nullable(), 'rows': z.string() })`,
  );

  beforeAll(async () => {
    await query(
      source,
      `create table ${quoted} (${list.map((name, index) => `${name} ${index === 0 ? 'integer' : 'text'}`).join(', ')}, primary key ("Id", "select"))`,
    );
    for (const id of [1, 2, 3]) {
      const values = columns.map((_, index) => (index === 0 ? id : index === 2 ? `it's ${id % 2}` : `${id}:${index}`));
      await query(source, `insert into ${quoted} values (${values.map((_, index) => `$${index + 1}`).join(', ')})`, values);
    }
    await query(target, `create schema "Up"`);
  });

  test('tables, columns and keys', async () => {
    for (const turn of [1, 2]) {
      expect(await run('odd_created')).toMatchObject({ transfer: 'binary', rowsLoaded: 3, partitions: 2, unchanged: turn === 2 });
      expect(await run('odd_replaced')).toMatchObject({ transfer: 'binary', rowsLoaded: 3, partitions: 2, unchanged: turn === 2 });
    }
    const expected = await valuesOf(source, quoted, '"Id"');
    expect(expected).toHaveLength(3);
    expect(await valuesOf(target, quoted, '"Id"')).toEqual(expected);
    expect(await valuesOf(target, `"Up"."Per ""x"""`, '"Id"')).toEqual(expected);
  });

  test('columns of refused rows are named as they are', async () => {
    await query(target, `create table odd_refused ("Id" integer primary key, "colon:name" inet, "quo""te" text, "rows" text)`);
    await query(source, `update ${quoted} set "colon:name" = case when "Id" = 1 then '10.0.0.1' when "Id" = 2 then 'nowhere' end`);
    expect(await run('odd_refused')).toMatchObject({ rowsLoaded: 2, rowsQuarantined: 1 });
    const bad = await query(
      target,
      `select "column", q.reason from sluice.quarantine q join sluice.runs using (run_key) where pipeline = 'odd_refused'`,
    );
    expect(bad).toEqual([{ column: 'colon:name', reason: 'invalid input syntax for type inet' }]);
  });
});
