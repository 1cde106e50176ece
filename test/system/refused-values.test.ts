/** Values that only the server refuses, also from typed sources: each in quarantine with its reason and column, the rest of its chunk loaded. */
import { DuckDBInstance } from '@duckdb/node-api';
import { stagingTable } from '../../src/ledger/staging.ts';
import { contentOf } from '../helpers/checksum.ts';
import { declaredPipelines, definition } from '../helpers/declared-pipelines.ts';
import { dirt, expectRows, quarantineOf, realRows, writeDirtyFile } from '../helpers/dirty-file.ts';
import { resultOf } from '../helpers/runs.ts';
import { query } from '../helpers/servers.ts';
import { project, startWorker } from '../helpers/workers.ts';

let url: string;
const { pipeline, begin, file, start, run } = declaredPipelines('refused-values');

beforeAll(async () => {
  url = await begin();
});

describe('values that only the server refuses', () => {
  const NAMES = ['id', 'origin', 'mood', 'net', 'span', 'moods', 'at', 'words'];
  const target = (table: string) =>
    `create table ${table} (id integer primary key, origin iata, mood cheer, net inet, span int4range, moods mood[], at time, words tsvector)`;
  const chunk = `tolerate: { quarantined: 40 }, chunk: { rows: 617 }`;
  pipeline(
    'careful_jsonl',
    `source: jsonl({ files: 'careful.jsonl', columns: ${JSON.stringify(NAMES)} }), ${chunk}, target: postgres({ table: 'careful_jsonl', mode: 'append', key: ['id'] })`,
  );
  const good = realRows('flights-airport.csv').map(([origin, , count], id) => ({
    id: String(id),
    origin,
    mood: id % 2 ? 'ok' : 'sad',
    net: `10.0.${id >> 8}.${id & 255}`,
    span: `[1,${Number(count) + 2})`,
    moods: id % 5 ? '{ok,sad}' : '{}',
    at: `0${id % 10}:00:00`,
    words: `'${origin}'`,
  }));
  const csvLine = (row: Record<string, string | undefined>) => NAMES.map((name) => `"${row[name]}"`).join(',');
  const model = { id: '77777', origin: 'XXX', mood: 'ok', net: '10.0.0.1', span: '[1,2)', moods: '{}', at: '10:00', words: 'a' };
  const bad: readonly [Partial<typeof model>, string][] = [
    [{ origin: 'xxx' }, 'value for domain iata violates check constraint "iata_check"'],
    [{ mood: 'furious' }, 'invalid input value for enum mood'],
    [{ mood: 'sour' }, 'value for domain cheer violates check constraint "cheer_check"'],
    [{ net: '10.0.0.256' }, 'invalid input syntax for type inet'],
    [{ span: '[2,1)' }, 'range lower bound must be less than or equal to range upper bound'],
    [{ span: '[a,b]' }, 'invalid input syntax for type integer'],
    [{ moods: '{ok,furious}' }, 'invalid input value for enum mood'],
    [{ moods: '{ok' }, 'malformed array literal'],
    [{ at: '25:00' }, 'date/time field value out of range'],
    [{ words: 'w'.repeat(2_100) }, 'word is too long (2100 bytes, max 2046 bytes)'],
  ];
  // Side by side at the start, at the end and in the middle, so that they fall on both sides of chunks and of savepoints.
  const dirtyRows = [...bad, ...bad, ...bad];

  beforeAll(async () => {
    await query(
      url,
      `create type mood as enum ('sad', 'ok', 'sour'); create domain cheer as mood check (value <> 'sour'); create domain iata as text check (value ~ '^[A-Z0-9]{3}$')`,
    );
  });

  const dirtOf = (line: (row: Record<string, string>) => string) =>
    dirtyRows.map(([values, reason]) => dirt(line({ ...model, ...values }), Object.keys(values)[0] ?? null, reason));

  test('are found one by one, though chunks were repeated after a crash that emptied staging', async () => {
    // Given a file, and a worker that dies in its fifth chunk
    await query(url, target('careful_csv'));
    const expected = await writeDirtyFile(file('careful.csv'), NAMES.join(','), good.map(csvLine), dirtOf(csvLine));
    const own = await project('careful', url);
    const source = `csv({ files: '${file('careful.csv')}' })`;
    const swapless = `postgres({ table: 'careful_csv', mode: 'append', key: ['id'], swap: 'never' })`;
    await own.write('careful.ts', definition('careful_csv', `source: ${source}, ${chunk}, target: ${swapless}`));
    const doomed = await startWorker(own, { faults: 'chunk:before-commit@5=kill' });
    const running = await start('careful_csv', {}, own);
    expect(await doomed.ended).toBe('SIGKILL');
    const [left] = await query<{ run_key: string; rows: number }>(
      url,
      `select run_key, (select count(*)::int from sluice.quarantine q where q.run_key = r.run_key) as rows from sluice.runs r where workflow_id = $1`,
      [running.workflowId],
    );
    expect(left?.rows).toBeGreaterThan(5);

    // When staging is empty, as after a crash of the server, and another worker takes over
    await query(url, `truncate sluice.chunks, ${stagingTable(left?.run_key ?? '')}`);
    await startWorker(own);
    const summary = await resultOf(running);

    // Then nothing is there twice
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: dirtyRows.length });
    await expectRows(url, 'careful_csv', good);
  });

  test('the same from JSON lines', async () => {
    await query(url, target('careful_jsonl'));
    const expected = await writeDirtyFile(
      file('careful.jsonl'),
      null,
      good.map((row) => JSON.stringify(row)),
      dirtOf((row) => JSON.stringify(row)),
    );
    const summary = await run('careful_jsonl');
    expect(await quarantineOf(url, summary.runKey)).toEqual(expected);
    expect(summary).toMatchObject({ rowsLoaded: good.length, rowsQuarantined: dirtyRows.length });
    await expectRows(url, 'careful_jsonl', good);
  });
});

describe('typed sources', () => {
  pipeline(
    'typed_parquet',
    `source: parquet({ files: 'typed.parquet' }), tolerate: { quarantined: 10 }, chunk: { rows: 3_000 },
     row: z.object({ id: z.bigint().nullable(), label: z.string().max(12), amount: z.number().max(5_000) }),
     target: postgres({ table: 'typed_parquet', mode: 'upsert', key: ['id'] })`,
  );
  const bad = `values (null, 'null key', 1), (5, 'twice', 1), (99999, 'thirteen char', 1), (99998, 'amount', 5001), (99997, 'server', 100.5), (3000000000, 'too large', 1)`;
  const reasons = {
    99999: ['label', 'longer than 12'],
    99998: ['amount', 'greater than 5000'],
    99997: ['amount', 'value for domain below violates check constraint "below_check"'],
    3000000000: ['id', 'out of range for integer'],
    5: ['id', 'duplicate key in this run'],
  };

  beforeAll(async () => {
    await query(url, `create domain below as double precision check (value <> 100.5)`);
  });

  test('Parquet: the record as JSON', async () => {
    await query(url, `create table typed_parquet (id integer primary key, label text, amount below)`);
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const rows = `select i::bigint as id, 'row ' || i as label, (i % 100)::double as amount from range(10000) r(i)`;
    await connection.run(
      `copy (${rows} union all select * from (${bad}) as bad (id, label, amount)) to '${file('typed.parquet')}' (format parquet)`,
    );
    connection.closeSync();

    const summary = await run('typed_parquet');

    expect(summary).toMatchObject({ rowsLoaded: 10_000, rowsQuarantined: 6 });
    await expectTypedQuarantine(summary.runKey, { nullKey: ['id', 'null is not allowed'] });
    await expectRows(
      url,
      'typed_parquet',
      Array.from({ length: 10_000 }, (_, id) => ({ id, label: `row ${id}`, amount: id % 100 })),
    );
  });

  pipeline(
    'typed_postgres',
    `source: postgres({ query: 'select id, label, amount, note from typed_source' }), tolerate: { quarantined: 10 },
     row: z.object({ id: z.bigint().nullable(), label: z.string().max(12), amount: z.number().max(5_000), note: z.json().nullable() }),
     target: postgres({ table: 'typed_postgres', mode: 'upsert', key: ['id'] })`,
  );

  test('PostgreSQL: the record as JSON', async () => {
    await query(url, `create table typed_source (id bigint, label text, amount float8, note json)`);
    // \\u0000 is a text that json keeps and jsonb refuses.
    await query(
      url,
      `insert into typed_source select i, 'row ' || i, i % 100, '"\\u0000"'::json from generate_series(0, 9999) i union all ${bad.replaceAll(/\((.*?)\)/g, `($1, '"\\u0000"'::json)`)}`,
    );
    await query(url, `create table typed_postgres (id integer primary key, label text, amount below, note json)`);

    const summary = await run('typed_postgres');

    expect(summary).toMatchObject({ rowsLoaded: 10_000, rowsQuarantined: 6 });
    await expectTypedQuarantine(summary.runKey, { nullKey: ['id', 'null is not allowed'] });
    const good = `(select id::integer, label, amount, note from typed_source where label like 'row %') as good`;
    expect(await contentOf(url, 'typed_postgres')).toEqual(await contentOf(url, good));
  });

  async function expectTypedQuarantine(runKey: string, { nullKey }: { nullKey: string[] }): Promise<void> {
    const found = (await quarantineOf(url, runKey)).map(({ column, reason, record }) => {
      const { id } = JSON.parse(record) as { id: string | number | null };
      return [id === null ? 'null' : String(id), column, reason];
    });
    const expected = [...Object.entries(reasons).map(([id, [column, reason]]) => [id, column, reason]), ['null', ...nullKey]];
    expect(found.sort()).toEqual(expected.sort());
  }
});
