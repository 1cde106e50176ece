/** Random rows of random schemas in CSV files, as bytes and record by record into a real table: zod's verdict on each, the same stored. */
import { join } from 'node:path';
import fc from 'fast-check';
import type pg from 'pg';
import { z } from 'zod';
import { csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import type { CopyChunk, SourceRecord } from '../../../src/connectors/source.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { encodeRecords } from '../../../src/validation/encode-records.ts';
import { recordEncoding } from '../../../src/validation/record-encoding.ts';
import { nameOf, type StoredType, schemaOf, type Table, TYPES, tables, zodSays } from '../../helpers/verdicts.ts';
import { withFiles } from '../../unit/csv/record-files.ts';
import {
  copyInto,
  giveTexts,
  never,
  plan,
  readRecords,
  type SourceServer,
  shownRows,
  startSourceServer,
} from '../postgres-source/source-server.ts';

let server: SourceServer;
let client: pg.Client;

beforeAll(async () => {
  server = await startSourceServer();
  client = await server.connect();
});
afterAll(() => server.stop());

/** Numbers in spellings that a file may have and PostgreSQL never writes. */
const SPELLED = ['0', '-0', '+5', '007', '-007', '+0', '00', '12', '-120', '5', '9'];
const DIGITS = [
  '0.1000000000000000055511151231257827',
  '12345678901234567890.5',
  '9007199254740993',
  '1.50',
  '-0.0',
  '.5',
  '5.',
  '1e3',
  '1E-3',
];

/** A type with these values, and the row schemas of another. */
function typeOf(postgres: string, like: string, values: readonly string[]): StoredType {
  const types = TYPES.filter((type) => type.postgres === like);
  return {
    postgres,
    duckdb: '',
    values: fc.option(fc.constantFrom(...values), { freq: 6 }),
    schemas: fc.oneof(...types.map((type) => type.schemas)),
  };
}

const CSV_TYPES: readonly StoredType[] = [
  ...TYPES,
  typeOf('smallint', 'integer', SPELLED),
  typeOf('integer', 'integer', SPELLED),
  typeOf('bigint', 'bigint', [...SPELLED, '9007199254740993', '+9007199254740993']),
  typeOf('numeric', 'numeric(20,4)', [...SPELLED, ...DIGITS]),
  typeOf('numeric(38,10)', 'numeric(20,4)', SPELLED),
  typeOf('double precision', 'double precision', [...SPELLED, ...DIGITS]),
  typeOf('real', 'double precision', [...SPELLED, ...DIGITS]),
  typeOf('text', 'text', [...SPELLED, ...DIGITS, 'TRUE', '2001-06-15T12:00:00.123456Z', '2001-06-15']),
  typeOf('character varying(4)', 'text', [...SPELLED, ...DIGITS, '2001-06-15', '+1.50']),
  typeOf('text', 'jsonb', ['{"a": 1.10}', '[ 1]', 'null', '{"a":1,"a":2}']),
  typeOf('json', 'jsonb', ['{"a": 1.10}', '[ 1]', 'null', '{"a":1,"a":2}', '"\\u0000"', '12345678901234567890.123']),
  typeOf('text', 'boolean', ['TRUE', 'f', 'yes', '0']),
];

/** Null is nothing between the delimiters; every second row has quotes wherever it may. */
function fileOf({ rows, types }: Table): string {
  const lines = rows.map((row, id) =>
    [String(id), ...row]
      .map((value) => {
        if (value === null) return '';
        return value === '' || id % 2 === 0 || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
      })
      .join(','),
  );
  return `${[['id', ...types.map((_, index) => nameOf(index))].join(','), ...lines].join('\n')}\n`;
}

const seen = { csv: 0, records: 0, refused: 0, stored: 0 };

async function judge(table: Table, folder: string): Promise<void> {
  const schema = compileRowSchema(schemaOf(table).zod.extend({ id: z.int() }));
  const staged = [
    { name: 'id', sqlType: 'integer' },
    ...table.types.map(({ postgres }, index) => ({ name: nameOf(index), sqlType: postgres })),
  ];
  const names = staged.map(({ name }) => name);
  const source = createCsvSource(csvConfig.parse(csv({ files: join(folder, '*.csv') })));
  const request = { columns: staged, schema: schema.columns, rowSchema: schema };
  const { transfer } = await source.chooseTransfer(request);
  seen[transfer as 'csv' | 'records']++;
  if (transfer !== 'csv') return;

  const declared = staged.map(({ name, sqlType }) => `${name} ${sqlType}`).join(', ');
  const made = ['given', 'bytes', 'records'].map((name) => `drop table if exists ${name}; create temporary table ${name} (${declared});`);
  await client.query(`begin; ${made.join(' ')} commit`);

  const [partition] = await plan(source, { columns: staged });
  if (!partition) throw new Error('no plan');
  const records: SourceRecord[] = await readRecords(source, { columns: staged });
  const refused = records.flatMap(({ position, values = {} }) => {
    const said = zodSays(schema, values, 'text');
    return 'column' in said ? [{ position, column: said.column }] : [];
  });
  const copied = async (name: string, chunk: CopyChunk | undefined) => {
    if (!chunk) throw new Error('the source does not copy');
    await copyInto(client, name)(chunk);
    return chunk.end();
  };
  const all = { window: null, position: null, maxRows: 1e9, maxBytes: 1e9, signal: never, partition };
  const bytes = await copied('bytes', await source.readCopy?.({ ...request, ...all, transfer, withPosition: false }));
  const long = await copied(
    'records',
    encodeRecords(
      await source.readRecords({ ...all, columns: names }),
      recordEncoding({ schema, staged, from: 'text', withPosition: false }),
    ),
  );

  expect(bytes).toMatchObject({ rowsRead: long.rowsRead, rejected: long.rejected, last: true });
  const places = new Set(refused.map(({ position }) => position));
  expect(bytes.rejected.filter(({ position }) => places.has(position)).map(({ position, column }) => ({ position, column }))).toEqual(
    refused,
  );
  expect(await shownRows(client, 'bytes', names)).toEqual(await shownRows(client, 'records', names));
  const unchanged = schema.columns.filter((column) => column.uncompiled === null).map((column) => column.name);
  const kept = await shownRows(client, 'bytes', unchanged);
  for (const [id] of kept) await giveTexts(client, 'given', id as number, table.rows[id as number] ?? []);
  expect(kept).toEqual(await shownRows(client, 'given', unchanged));
  seen.refused += refused.length;
  seen.stored += kept.length;
}

test('bytes and records of CSV have the verdict of zod, and the same is stored', async () => {
  await fc.assert(
    fc.asyncProperty(tables(CSV_TYPES), (table) => withFiles({ 'rows.csv': fileOf(table) }, (folder) => judge(table, folder))),
    { numRuns: 300 },
  );
  // Otherwise it would prove nothing.
  for (const [what, times] of Object.entries(seen)) expect({ what, often: times >= 60 }).toEqual({ what, often: true });
});
