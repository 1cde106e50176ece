/** Random rows of random schemas in files of JSON lines, into a real table: zod's verdict on each, and stored is what the server makes of the same values. */
import { join } from 'node:path';
import fc from 'fast-check';
import type pg from 'pg';
import { z } from 'zod';
import { jsonl, jsonlConfig } from '../../../src/connectors/jsonl/config.ts';
import { createJsonlSource } from '../../../src/connectors/jsonl/source.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { encodeRecords } from '../../../src/validation/encode-records.ts';
import { recordEncoding } from '../../../src/validation/record-encoding.ts';
import { nameOf, schemaOf, type Table, tables, zodSays } from '../../helpers/verdicts.ts';
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

/** Types whose values JSON has itself. */
const BARE = /^(integer|bigint|numeric.*|double precision|boolean|jsonb)$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;

/** Null is null, and in every second row nothing at all. */
function fileOf({ rows, types }: Table): string {
  const lines = rows.map((row, id) => {
    const members = row.flatMap((value, index) => {
      const name = JSON.stringify(nameOf(index));
      if (value === null) return id % 2 === 0 ? [`${name}: null`] : [];
      const { postgres } = types[index] as Table['types'][number];
      const isBare = BARE.test(postgres) && (postgres === 'boolean' || postgres === 'jsonb' || NUMBER.test(value));
      return [`${name}: ${isBare ? value : JSON.stringify(value)}`];
    });
    return `{${[`"id": ${id}`, ...members].join(', ')}}`;
  });
  return `${lines.join('\n')}\n`;
}

/** A row as texts for the server. JSON's null is none, also where the column is a document. */
function given({ rows, types }: Table, id: number): readonly (string | null)[] {
  return (rows[id] ?? []).map((value, index) => (types[index]?.postgres === 'jsonb' && value?.trim() === 'null' ? null : value));
}

const seen = { refused: 0, stored: 0 };

async function judge(table: Table, folder: string): Promise<void> {
  const schema = compileRowSchema(schemaOf(table).zod.extend({ id: z.int() }));
  const staged = [
    { name: 'id', sqlType: 'integer' },
    ...table.types.map(({ postgres }, index) => ({ name: nameOf(index), sqlType: postgres })),
  ];
  const declared = staged.map(({ name, sqlType }) => `${name} ${sqlType}`).join(', ');
  const made = ['given', 'copied'].map((name) => `drop table if exists ${name}; create temporary table ${name} (${declared});`);
  await client.query(`begin; ${made.join(' ')} commit`);
  const source = createJsonlSource(jsonlConfig.parse(jsonl({ files: join(folder, '*.jsonl') })));
  const [partition] = await plan(source, { columns: staged });
  if (!partition) throw new Error('no plan');

  const records = await readRecords(source, { columns: staged });
  const refused = records.flatMap(({ position, values = {} }) => {
    const said = zodSays(schema, values, 'json');
    return 'column' in said ? [{ position, column: said.column }] : [];
  });
  const all = { window: null, position: null, maxRows: 1e9, maxBytes: 1e9, signal: never, partition };
  const chunk = encodeRecords(
    await source.readRecords({ ...all, columns: staged.map(({ name }) => name) }),
    recordEncoding({ schema, staged, from: 'json', withPosition: false }),
  );
  await copyInto(client, 'copied')(chunk);
  const { rejected } = chunk.end();

  const places = new Set(refused.map(({ position }) => position));
  expect(rejected.filter(({ position }) => places.has(position)).map(({ position, column }) => ({ position, column }))).toEqual(refused);
  const unchanged = schema.columns.filter((column) => column.uncompiled === null).map((column) => column.name);
  const kept = await shownRows(client, 'copied', unchanged);
  for (const [id] of kept) await giveTexts(client, 'given', id as number, given(table, id as number));
  expect(kept).toEqual(await shownRows(client, 'given', unchanged));
  seen.refused += refused.length;
  seen.stored += kept.length;
}

test('JSON lines have the verdict of zod, and what they say is stored', async () => {
  await fc.assert(
    fc.asyncProperty(tables(), (table) => withFiles({ 'rows.jsonl': fileOf(table) }, (folder) => judge(table, folder))),
    { numRuns: 150 },
  );
  // Otherwise it would prove nothing.
  for (const [what, times] of Object.entries(seen)) expect({ what, often: times >= 60 }).toEqual({ what, often: true });
});
