/** Every path of the worker gives zod's verdict on random rows of random schemas. */
import fc from 'fast-check';
import { createRowParser } from '../../../src/validation/row-parser.ts';
import { nameOf, parquetSelect, schemaOf, type Table, TEXT, TYPES, tables, zodSays } from '../../helpers/verdicts.ts';
import { copyAll, planOf, readAll, sourceOf, withFolder } from '../parquet/parquet-files.ts';

const rowsOf = (table: Table) => table.rows.map((row) => Object.fromEntries(row.map((value, index) => [nameOf(index), value])));

test('the row parser on text', () => {
  fc.assert(
    fc.property(tables(), (table) => {
      const schema = schemaOf(table);
      const parse = createRowParser(schema, 'text');
      for (const values of rowsOf(table)) {
        const parsed = parse(values);
        expect(parsed.ok ? { row: parsed.row } : { column: parsed.column }).toEqual(zodSays(schema, values, 'text'));
      }
    }),
    { numRuns: 300 },
  );
});

test('the row parser on JSON', () => {
  const value = fc.oneof(fc.constant(undefined), fc.jsonValue({ maxDepth: 1 }), fc.integer({ min: -130, max: 30 }), TEXT.values);
  const rows = fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 5, maxLength: 15 });
  fc.assert(
    fc.property(tables(), rows, (table, rows) => {
      const schema = schemaOf(table);
      const parse = createRowParser(schema, 'json');
      for (const row of rows) {
        const values = Object.fromEntries(row.flatMap((each, index) => (each === undefined ? [] : [[nameOf(index), each]])));
        const parsed = parse(values);
        expect(parsed.ok ? { row: parsed.row } : { column: parsed.column }).toEqual(zodSays(schema, values, 'json'));
      }
    }),
    { numRuns: 150 },
  );
});

test('the row parser and DuckDB on Parquet', async () => {
  const seen = { csv: 0, records: 0, refused: 0 };
  const types = TYPES.filter((type) => type.duckdb !== 'JSON');
  await withFolder(async ({ write }) => {
    let files = 0;
    const property = fc.asyncProperty(tables(types), async (table) => {
      const source = sourceOf(await write(`${++files}.parquet`, parquetSelect(table)));
      const [all] = await planOf(source, { by: 'none' });
      if (!all) throw new Error('no plan');
      const schema = schemaOf(table);
      const names = table.types.map((_, index) => nameOf(index));
      const parse = createRowParser(schema, 'typed');
      const expected = (await readAll(source, all, names, 100, [...schema.columns])).flatMap((record) => {
        const said = zodSays(schema, record.values ?? {}, 'typed');
        const parsed = parse(record.values ?? {});
        expect(parsed.ok ? { row: parsed.row } : { column: parsed.column }).toEqual(said);
        return parsed.ok ? [] : [{ position: record.position, column: parsed.column, reason: parsed.reason }];
      });
      const request = {
        columns: table.types.map(({ postgres }, index) => ({ name: nameOf(index), sqlType: postgres })),
        schema: schema.columns,
      };
      const { transfer } = await source.chooseTransfer(request);
      if (transfer !== 'csv') {
        seen.records++;
        return;
      }
      seen.csv++;
      const { rejected } = await copyAll(source, all, request);
      seen.refused += rejected.length;
      expect(rejected.map(({ position, column, reason }) => ({ position, column, reason }))).toEqual(expected);
    });
    await fc.assert(property, { numRuns: 150 });
  });
  // Otherwise it would prove nothing.
  expect(seen.csv).toBeGreaterThan(15);
  expect(seen.refused).toBeGreaterThan(30);
});
