/** Reading goes on at any position: chunks of any size give the records of one pass. */
import { join } from 'node:path';
import fc from 'fast-check';
import { csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import type { Source } from '../../../src/connectors/source.ts';
import { plan, readAll, withFiles } from './record-files.ts';

const piece = fc.constantFrom(
  'a',
  'bc',
  ',',
  '"',
  '""',
  '\n',
  '\r\n',
  '\0',
  'é',
  '2001-02-28',
  '2001-02-30',
  ',"x",',
  '\n1,2\n',
  '\xff',
  ' '.repeat(90),
);

/** Sizes that differ from chunk to chunk. */
function sizes(numbers: readonly number[]) {
  let index = 0;
  return () => ({ maxRows: numbers[index++ % numbers.length] ?? 1, maxBytes: 1e12 });
}

function csvSource(files: string, maxRecordBytes?: number): Source {
  return createCsvSource(csvConfig.parse({ ...csv({ files, header: ['a', 'b'] }), ...(maxRecordBytes ? { maxRecordBytes } : {}) }));
}

test('any bytes, any sizes of chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(piece, { maxLength: 60 }), { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      async (contents, chunks) => {
        const files = Object.fromEntries(contents.map((pieces, index) => [`${index}.csv`, Buffer.from(pieces.join(''), 'latin1')]));
        await withFiles(files, async (folder) => {
          const source = csvSource(join(folder, '*.csv'), 1024);
          const [partition] = await plan(source, { by: 'none' });
          if (!partition) throw new Error('no partition');
          const once = await readAll(source, partition);
          expect(await readAll(source, partition, sizes(chunks))).toEqual(once);
          expect(await readAll(source, partition, () => ({ maxRows: 1e9, maxBytes: 1 }))).toEqual(once);

          // Every record is found again at its position.
          const found = await source.readAt?.(
            partition,
            once.map((record) => record.position),
          );
          expect(once.map((record) => found?.get(record.position)?.toString('latin1'))).toEqual(once.map((record) => record.bytes));

          // Positions are unique and in order, and no byte but line ends is left out.
          const positions = once.map((record) => record.position);
          expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
        });
      },
    ),
    { numRuns: 30 },
  );
});

test.each([1024, 2048, 1024 * 1024])('records of up to %i bytes across the blocks of reading', async (maxRecordBytes) => {
  // Given a file of many blocks with quoted line ends and quotes that are not closed
  const lines: string[] = [];
  for (let index = 0; index < 30_000; index++) {
    if (index % 997 === 0) lines.push(`${index},"not closed`);
    else if (index % 3 === 0) lines.push(`"${index}","${'x'.repeat(index % 90)}\n""${index}"""`);
    else lines.push(`${index},${'é'.repeat(index % 40)}`);
  }
  await withFiles({ 'a.csv': lines.join('\r\n') }, async (folder) => {
    const source = csvSource(join(folder, 'a.csv'), maxRecordBytes);
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    const once = await readAll(source, partition);
    expect(await readAll(source, partition, sizes([700, 1301, 1, 4999]))).toEqual(once);
    // Every good line of the file is a record, whatever stands before it.
    const good = lines.filter((line) => !line.includes('"'));
    const bytes = new Set(once.filter((record) => record.values).map((record) => record.bytes));
    expect(good.filter((line) => !bytes.has(Buffer.from(line).toString('latin1')))).toEqual([]);
  });
});

test('the partitions of a plan have each record once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.constantFrom(
          '2001-01-05,x',
          '2001-02-28 10:00:00,y',
          '2001-02-30,z',
          ',n',
          '"broken',
          '2001-01-31T23:59:59Z,x',
          'a,b,c',
          '2001-01-31T23:30:00-01:00,q',
          'soon,x',
        ),
        {
          maxLength: 30,
        },
      ),
      fc.constantFrom('date', 'value'),
      async (lines, by) => {
        await withFiles({ 'a.csv': lines.slice(0, 12).join('\n'), 'b.csv': lines.slice(12).join('\n') }, async (folder) => {
          const source = csvSource(join(folder, '*.csv'));
          const [all] = await plan(source, { by: 'none' });
          if (!all) throw new Error('no partition');
          const wanted = (await readAll(source, all)).map((record) => record.bytes).sort();
          const partitions = await plan(source, by === 'date' ? { by, unit: 'month', column: 'a' } : { by: 'value', column: 'a' });
          const found: string[] = [];
          for (const partition of partitions) {
            const records = await readAll(source, JSON.parse(JSON.stringify(partition)), () => ({ maxRows: 2, maxBytes: 1e9 }));
            expect(records).toHaveLength(partition.rowsExpected ?? -1);
            expect(records.every((record) => (record.problem !== null) === (partition.name === 'unreadable'))).toBe(true);
            found.push(...records.map((record) => record.bytes));
          }
          expect(found.sort()).toEqual(wanted);
        });
      },
    ),
    { numRuns: 30 },
  );
});
