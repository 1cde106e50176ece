/**
 * Random rows of random schemas on every way from a real PostgreSQL, and from Parquet, into a real table: the verdict is zod's on each, and
 * what is stored is the same.
 */
import { finished } from 'node:stream/promises';
import fc from 'fast-check';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { z } from 'zod';
import type { Source, SourceRecord } from '../../../src/connectors/source.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { encodeRecords } from '../../../src/validation/encode-records.ts';
import { recordEncoding } from '../../../src/validation/record-encoding.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import type { RowSchema } from '../../../src/validation/row-schema.ts';
import { nameOf, parquetSelect, schemaOf, type Table, tables, zodSays } from '../../helpers/verdicts.ts';
import { copyAll, planOf, readAll, sourceOf, withFolder } from '../../unit/parquet/parquet-files.ts';
import { copyInto, readCopies, readRecords, type SourceServer, startSourceServer } from './source-server.ts';

let server: SourceServer;
let client: pg.Client;
let source: Source;

beforeAll(async () => {
  server = await startSourceServer();
  client = await server.connect();
  source = server.source({ table: 'given' });
});
afterAll(async () => {
  await server.requireNoLeaks();
  await server.stop();
});

interface Staged {
  readonly name: string;
  readonly sqlType: string;
}

/** Tables `given` with the rows, and `direct`, `parsed` and `parquet` for the ways that they go. */
async function giveRows(table: Table, staged: readonly Staged[]): Promise<void> {
  const columns = staged.map(({ name, sqlType }) => `${name} ${sqlType}${name === 'id' ? ' primary key' : ''}`).join(', ');
  const made = ['given', 'direct', 'parsed', 'parquet'].map(
    (name) => `drop table if exists ${name}; create table ${name} (${columns}${name === 'parquet' ? ', _sluice_position bigint' : ''});`,
  );
  const rows = table.rows.map(
    (row, id) => `(${[id, ...row.map((value) => (value === null ? 'null' : client.escapeLiteral(value)))].join(', ')})`,
  );
  await client.query(`begin; ${made.join(' ')} insert into given values ${rows.join(', ')}; commit`);
}

interface Refused {
  readonly position: number;
  readonly column: string | null;
  readonly reason: string;
}

/** What zod refuses of records. The row parser has the reasons, and the same verdict. */
function refusedByZod(schema: RowSchema, records: readonly SourceRecord[], from: 'text' | 'typed'): Refused[] {
  const parse = createRowParser(schema, from);
  return records.flatMap(({ position, values = {} }) => {
    const said = zodSays(schema, values, from);
    const parsed = parse(values);
    expect(parsed.ok ? { row: parsed.row } : { column: parsed.column }).toEqual(said);
    return parsed.ok ? [] : [{ position, column: parsed.column, reason: parsed.reason }];
  });
}

const shown = ({ position, column, reason }: Refused): Refused => ({ position, column, reason });

/** Rows one by one through the row parser and the encoder, as the worker does it. */
async function copyRecords(
  records: readonly SourceRecord[],
  schema: RowSchema,
  staged: readonly Staged[],
  from: 'text' | 'typed',
  into: string,
) {
  const chunk = encodeRecords(
    {
      batches: (async function* () {
        yield records;
      })(),
      end: () => ({ position: null, last: true }),
    },
    recordEncoding({ schema, staged, from, withPosition: false }),
  );
  await copyInto(client, into)(chunk);
  return chunk.end().rejected;
}

const stored = async (table: string, columns: readonly string[]): Promise<Map<number, readonly (string | null)[]>> => {
  const { rows } = await client.query({
    text: `select ${['id', ...columns.map((name) => `${name}::text`)].join(', ')} from ${table}`,
    rowMode: 'array',
  });
  return new Map((rows as unknown[][]).map(([id, ...values]) => [id as number, values as (string | null)[]]));
};

const seen = { binary: 0, text: 0, records: 0, csv: 0, refused: 0, stored: 0 };

async function judge(table: Table, write: (name: string, select: string) => Promise<string>): Promise<void> {
  const schema = compileRowSchema(schemaOf(table).zod.extend({ id: z.int() }));
  const staged: Staged[] = [
    { name: 'id', sqlType: 'integer' },
    ...table.types.map(({ postgres }, index) => ({ name: nameOf(index), sqlType: postgres })),
  ];
  await giveRows(table, staged);
  const names = staged.map(({ name }) => name);
  const unchanged = schema.columns.filter((column) => column.uncompiled === null && column.name !== 'id').map((column) => column.name);
  const given = await stored('given', unchanged);

  // One by one.
  const records = await readRecords(source, { columns: staged });
  const expected = refusedByZod(schema, records, 'text');
  const refused = new Set(expected.map(({ position }) => position));
  const rejected = await copyRecords(records, schema, staged, 'text', 'parsed');
  expect(rejected.filter(({ position }) => refused.has(position)).map(shown)).toEqual(expected);
  const parsed = await stored('parsed', unchanged);
  for (const [id, values] of parsed) expect({ id, values }).toEqual({ id, values: given.get(id) });
  seen.refused += refused.size;
  seen.stored += parsed.size;

  // As bytes.
  const request = { columns: staged, schema: schema.columns };
  const { transfer } = await source.chooseTransfer(request);
  seen[transfer]++;
  if (transfer === 'binary' || transfer === 'text') {
    const direct = await readCopies(source, transfer, request, copyInto(client, 'direct'));
    expect(direct.rejected.map(shown)).toEqual(expected);
    expect(await stored('direct', names)).toEqual(await stored('parsed', names));
  }

  // From Parquet.
  if (table.types.some((type) => type.duckdb === 'JSON')) return;
  const file = sourceOf(await write('rows.parquet', parquetSelect(table)));
  const [all] = await planOf(file, { by: 'none' });
  if (!all) throw new Error('no plan');
  const typed = await readAll(file, all, names, 1_000, [...schema.columns]);
  const expectedTyped = refusedByZod(schema, typed, 'typed');
  if ((await file.chooseTransfer(request)).transfer === 'csv') {
    const { text, rejected } = await copyAll(file, all, request);
    seen.csv++;
    expect(rejected.filter(({ position }) => expectedTyped.some((each) => each.position === position)).map(shown)).toEqual(expectedTyped);
    const copy = client.query(copyFrom(`copy parquet (_sluice_position, ${names.join(', ')}) from stdin (format csv)`));
    copy.end(text);
    await finished(copy);
  } else {
    await copyRecords(typed, schema, staged, 'typed', 'parquet');
  }
  for (const [id, values] of await stored('parquet', unchanged)) expect({ id, values }).toEqual({ id, values: given.get(id) });
}

test('every way gives the verdict of zod and stores the same', async () => {
  await withFolder(async ({ write }) => {
    await fc.assert(
      fc.asyncProperty(tables(), (table) => judge(table, write)),
      { numRuns: 200 },
    );
  });
  // Otherwise it would prove nothing.
  for (const [what, times] of Object.entries(seen))
    expect({ what, often: times >= (what === 'text' ? 0 : 15) }).toEqual({ what, often: true });
});
