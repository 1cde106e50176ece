/** Parquet goes as binary COPY exactly as it goes as CSV: same rows, same bad rows, same chunks; and as records it is the same rows. */
import fc from 'fast-check';
import type pg from 'pg';
import { z } from 'zod';
import { copyIn } from '../../../src/activities/copy-in.ts';
import { createParquetSource } from '../../../src/connectors/parquet/index.ts';
import type { CopyChunk, CopyRequest, PlannedPartition, Source } from '../../../src/connectors/source.ts';
import { columnsAsGiven } from '../../../src/validation/columns-as-given.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { createRowEncoder } from '../../../src/validation/copy-text.ts';
import { encodeRecords } from '../../../src/validation/encode-records.ts';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import type { ColumnType, RowSchema } from '../../../src/validation/row-schema.ts';
import { planOf, withFolder } from '../../unit/parquet/parquet-files.ts';
import { never, type SourceServer, startSourceServer } from '../postgres-source/source-server.ts';

let server: SourceServer;
let client: pg.PoolClient;

beforeAll(async () => {
  server = await startSourceServer();
  client = (await server.connect()) as pg.PoolClient;
}, 60_000);
afterAll(async () => {
  await client.end();
  await server.stop();
});

interface Staged {
  readonly name: string;
  readonly sqlType: string;
}

interface Way {
  readonly columns: readonly Staged[];
  readonly schema?: readonly ColumnType[];
  readonly withPosition?: boolean;
  readonly maxRows?: number;
}

async function copied(source: Source, partition: PlannedPartition, { columns, schema = [], withPosition = true, maxRows = 1e6 }: Way) {
  await createStaging(columns);
  const chunks: unknown[] = [];
  const formats = new Set<string>();
  for (let position: CopyRequest['position'] = null, last = false; !last; ) {
    const chunk: CopyChunk | undefined = await source.readCopy?.({
      partition,
      window: null,
      position,
      maxRows,
      maxBytes: 1e9,
      signal: never,
      columns,
      schema,
      transfer: 'csv',
      withPosition,
    } as CopyRequest);
    if (!chunk) throw new Error('the source has no readCopy');
    formats.add(chunk.format);
    const staged = await copyIn(client, 'staging', chunk);
    const end: ReturnType<CopyChunk['end']> = chunk.end();
    chunks.push({ ...end, staged, rejected: end.rejected.map((row) => ({ ...row, record: row.record.toString() })) });
    ({ position, last } = end);
  }
  return { rows: await stagedRows(), chunks, formats: [...formats] };
}

/** What is stored where the rows go one by one, as they do when a chunk is copied with care, and the positions of those that are refused. */
async function asRecords(
  source: Source,
  partition: PlannedPartition,
  { columns, schema: row }: { columns: readonly Staged[]; schema: RowSchema | null },
) {
  await createStaging(columns);
  const names = columns.map(({ name }) => name);
  const request = {
    partition,
    columns: names,
    window: null,
    position: null,
    maxRows: 1e6,
    maxBytes: 1e9,
    signal: never,
    schema: row?.columns ?? [],
  };
  const asGiven = row ? columnsAsGiven(row, columns, 'typed') : [];
  const chunk = encodeRecords(await source.readRecords(request), {
    ...(row ? { parse: createRowParser(row, 'typed'), asGiven } : {}),
    encode: createRowEncoder(columns.map((column) => ({ ...column, notNull: false }))),
    withPosition: true,
    columns: names,
  });
  await copyIn(client, 'staging', chunk);
  return { rows: await stagedRows(), refused: chunk.end().rejected.map(({ position, column }) => ({ position, column })) };
}

async function createStaging(columns: readonly Staged[]): Promise<void> {
  await client.query('drop table if exists staging');
  const list = columns.map(({ name, sqlType }) => `"${name}" ${sqlType}`).join(', ');
  await client.query(`create temporary table staging (nth serial, _sluice_position bigint, ${list})`);
}

async function stagedRows(): Promise<string[]> {
  // As text: JSON has no number for some of them.
  const { rows } = await client.query<{ row: string }>('select s::text as row from staging as s order by nth');
  return rows.map(({ row }) => row);
}

/** Both ways, which must not differ; what went, and in which formats. */
async function compare(select: string, way: Way) {
  let went: Awaited<ReturnType<typeof copied>> | undefined;
  await withFolder(async ({ write }) => {
    const file = await write('a.parquet', select);
    const [csv, binary] = [false, true].map((isBinary) => createParquetSource({ kind: 'parquet', files: file }, { binary: isBinary }));
    if (!csv || !binary) throw new Error('no source');
    const [partition] = await planOf(csv, { by: 'none' });
    if (!partition) throw new Error('no plan');
    const expected = await copied(csv, partition, way);
    went = await copied(binary, partition, way);
    expect({ ...went, formats: [] }).toEqual({ ...expected, formats: [] });
    expect(expected.formats).toEqual(['csv']);
  });
  if (!went) throw new Error('nothing went');
  return went;
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const nullable = (sql: fc.Arbitrary<string>) => fc.option(sql, { nil: 'NULL', freq: 6 });
const between = (min: bigint, max: bigint) =>
  fc.oneof(
    fc.bigInt({ min, max }),
    fc.constantFrom(min, max, 0n),
    fc.bigInt({ min: -10_001n < min ? min : -10_001n, max: max < 10_001n ? max : 10_001n }),
  );
const bits = (count: bigint) => between(-(2n ** (count - 1n)), 2n ** (count - 1n) - 1n).map((value) => `(${value})`);
const decimal = (precision: number, scale: number) =>
  between(1n - 10n ** BigInt(precision), 10n ** BigInt(precision) - 1n).map((value) => {
    const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
    return quoted(`${value < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale)}`);
  });
const text = fc
  .string({ unit: 'binary', maxLength: 90 })
  .filter((each) => !/[\p{Surrogate}]/u.test(each))
  .map((each) => each.replaceAll('\0', '').replaceAll('\r', 'r'))
  .map(quoted);
const float = (numbers: fc.Arbitrary<number>) =>
  fc
    .oneof(numbers, fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity))
    .map((value) => quoted(Object.is(value, -0) ? '-0.0' : String(value)));
const microseconds = fc.oneof(
  fc.bigInt({ min: -210_000_000_000_000_000n, max: 9_223_000_000_000_000_000n }),
  fc.bigInt({ min: 946_684_799_999_999n, max: 946_684_800_000_001n }),
  fc.bigInt({ min: -2n, max: 2n }),
);
const timestamp = fc.oneof(
  microseconds.map((us) => `make_timestamp(${us})`),
  fc.constantFrom(`'infinity'::TIMESTAMP`, `'-infinity'::TIMESTAMP`, `'0044-03-15 (BC) 10:00:00'::TIMESTAMP`),
);
const date = fc.oneof(
  fc.integer({ min: -2_400_000, max: 2_100_000_000 }).map((days) => `(DATE '1970-01-01' + (${days % 2_000_000}))`),
  fc.constantFrom(`'infinity'::DATE`, `'-infinity'::DATE`, `'5874897-12-31'::DATE`, `'4713-01-01 (BC)'::DATE`, `'4800-01-01 (BC)'::DATE`),
);

const TYPES: readonly (readonly [duck: string, value: fc.Arbitrary<string>, staging: readonly string[]])[] = [
  ['BOOLEAN', fc.constantFrom('true', 'false'), ['boolean']],
  ['TINYINT', bits(8n), ['smallint', 'integer', 'bigint', 'numeric', 'numeric(2,0)', 'text']],
  ['SMALLINT', bits(16n), ['smallint', 'integer']],
  ['INTEGER', bits(32n), ['integer', 'smallint', 'bigint', 'numeric(12,2)']],
  ['BIGINT', bits(64n), ['bigint', 'integer', 'numeric', 'text']],
  ['UBIGINT', between(0n, 2n ** 64n - 1n).map(String), ['numeric', 'bigint']],
  ['FLOAT', float(fc.float()), ['real', 'double precision']],
  ['DOUBLE', float(fc.double()), ['double precision']],
  ['DECIMAL(4,4)', decimal(4, 4), ['numeric(4,4)', 'numeric']],
  ['DECIMAL(9,0)', decimal(9, 0), ['numeric(9,0)']],
  ['DECIMAL(12,2)', decimal(12, 2), ['numeric(12,2)', 'numeric', 'numeric(20,5)', 'text']],
  ['DECIMAL(18,3)', decimal(18, 3), ['numeric(18,3)']],
  ['DECIMAL(18,15)', decimal(18, 15), ['numeric']],
  ['DECIMAL(38,10)', decimal(38, 10), ['numeric(38,10)']],
  ['DECIMAL(38,37)', decimal(38, 37), ['numeric']],
  ['VARCHAR', text, ['text', 'character varying', 'character varying(60)', 'character(80)']],
  [`ENUM('a', 'ß')`, fc.constantFrom(`'a'`, `'ß'`), ['text']],
  ['UUID', fc.uuid().map(quoted), ['uuid', 'text']],
  ['DATE', date, ['date']],
  ['TIMESTAMP', timestamp, ['timestamp without time zone', 'timestamp with time zone', 'timestamp(3) without time zone']],
  ['TIMESTAMP_MS', fc.constantFrom(`'2001-02-03 04:05:06.789'`, `'1677-09-22 00:00:00.001'`), ['timestamp without time zone']],
  ['TIMESTAMP_NS', fc.constantFrom(`'2001-02-03 04:05:06.789123'`), ['timestamp without time zone']],
  ['TIMESTAMP WITH TIME ZONE', timestamp, ['timestamp with time zone', 'timestamp without time zone']],
];

const anyColumn = fc.constantFrom(...TYPES).chain(([duck, value, staging]) =>
  fc.record({
    duck: fc.constant(duck),
    sqlType: fc.constantFrom(...staging),
    values: fc.oneof(fc.array(nullable(value), { minLength: 12, maxLength: 12 }), fc.array(value, { minLength: 12, maxLength: 12 })),
  }),
);

test('any values of the types with a binary form', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyColumn, { minLength: 1, maxLength: 6 }), fc.boolean(), async (columns, withPosition) => {
      const names = columns.map((_, index) => `c${index}`);
      const rows = Array.from({ length: 12 }, (_, row) => `(${columns.map(({ values }) => values[row]).join(', ')})`);
      const casts = columns.map(({ duck }, index) => `${names[index]}::${duck} AS ${names[index]}`);
      const select = `SELECT ${casts.join(', ')} FROM (VALUES ${rows.join(', ')}) AS v(${names.join(', ')})`;
      const staged = columns.map(({ sqlType }, index) => ({ name: `c${index}`, sqlType }));
      const { formats } = await compare(select, { columns: staged, withPosition, maxRows: 5 });
      expect(formats).toEqual(['binary']);
    }),
    { numRuns: 80 },
  );
}, 240_000);

const WITHOUT_BINARY: typeof TYPES = [
  ['FLOAT', float(fc.oneof(fc.float(), fc.integer().map(Math.fround))), ['numeric']],
  ['DOUBLE', float(fc.oneof(fc.double(), fc.integer())), ['numeric']],
  [
    `VARCHAR`,
    fc.tuple(fc.string({ maxLength: 4 }), fc.nat(4)).map(([word, blanks]) => quoted(word + ' '.repeat(blanks))),
    ['character varying(3)', 'character(3)'],
  ],
];

test('what is stored, and what is refused, is the same as records', async () => {
  const type = fc.constantFrom(...WITHOUT_BINARY, ...TYPES).chain(([duck, value, staging]) =>
    fc.record({
      duck: fc.constant(duck),
      sqlType: fc.constantFrom(...staging),
      values: fc.array(nullable(value), { minLength: 20, maxLength: 20 }),
    }),
  );
  await withFolder(async ({ write }) => {
    let files = 0;
    const property = fc.asyncProperty(type, fc.boolean(), async ({ duck, sqlType, values }, isJudged) => {
      const isNumber = /^(?:FLOAT|DOUBLE|DECIMAL|.*INT)/.test(duck);
      const schema = isJudged && isNumber ? compileRowSchema(z.object({ v: z.number().nullable() })) : null;
      const rows = values.map((each) => `(${each})`).join(', ');
      const source = createParquetSource({
        kind: 'parquet',
        files: await write(`${++files}.parquet`, `SELECT v::${duck} AS v FROM (VALUES ${rows}) AS t(v)`),
      });
      const [partition] = await planOf(source, { by: 'none' });
      if (!partition) throw new Error('no plan');
      const columns = [{ name: 'v', sqlType }];
      const went = await copied(source, partition, { columns, schema: schema?.columns ?? [] });
      const refused = went.chunks.flatMap((chunk) =>
        (chunk as ReturnType<CopyChunk['end']>).rejected.map(({ position, column }) => ({ position, column })),
      );
      expect(await asRecords(source, partition, { columns, schema })).toEqual({ rows: went.rows, refused });
    });
    await fc.assert(property, { numRuns: 150 });
  });
}, 240_000);

const ORDERS: readonly Staged[] = [
  { name: 'id', sqlType: 'bigint' },
  { name: 'status', sqlType: 'text' },
  { name: 'note', sqlType: 'text' },
  { name: 'amount', sqlType: 'numeric(12,2)' },
  { name: 'absent', sqlType: 'date' },
];
const orders = (rows: number, note = `CASE WHEN g % 7 < 2 THEN NULL WHEN g % 50000 = 1 THEN repeat('ü', 70000) ELSE 'note ' || g END`) =>
  `SELECT g AS id, 'new' AS status, ${note} AS note, (g / 100)::DECIMAL(12,2) AS amount FROM range(1, ${rows + 1}) AS t(g)`;

test('many row groups and chunks, columns of one value, long texts, runs of nulls, an absent column', async () => {
  const { rows, chunks, formats } = await compare(orders(300_000), { columns: ORDERS, maxRows: 140_000 });
  expect(formats).toEqual(['binary']);
  expect(rows).toHaveLength(300_000);
  expect(chunks).toHaveLength(3);
}, 120_000);

test('nothing but nulls, and no row', async () => {
  await compare(orders(9000, 'NULL::VARCHAR'), { columns: ORDERS });
  await compare(orders(0), { columns: ORDERS });
  await compare(orders(5), { columns: [{ name: 'absent', sqlType: 'text' }], withPosition: false });
});

test('bad rows are left out and told', async () => {
  const schema = compileRowSchema(z.object({ id: z.int(), status: z.string(), note: z.string(), amount: z.number().max(150) })).columns;
  const { chunks } = await compare(orders(20_000), { columns: ORDERS, schema });
  expect(chunks).toMatchObject([{ rowsRead: 20_000, staged: 10_715 }]);
});

test('one column without a simple binary form makes the chunk CSV', async () => {
  const columns = [...ORDERS, { name: 'bytes', sqlType: 'bytea' }];
  const { formats } = await compare(`SELECT *, 'ab'::BLOB AS bytes FROM (${orders(10)})`, { columns });
  expect(formats).toEqual(['csv']);
});
