/** CSV files go the short way into COPY exactly as they go the long way, record by record: same rows, same bad rows, same chunks. */
import fc from 'fast-check';
import type pg from 'pg';
import { z } from 'zod';
import { findPostgresBinaries } from '../../../src/local/postgres-binaries.ts';
import { compileRowSchema } from '../../../src/validation/compile.ts';
import { type SourceServer, startSourceServer } from '../postgres-source/source-server.ts';
import { expectSame } from './both-ways.ts';
import { cases, everyValue, SCHEMAS, TYPES, typed, untyped } from './drawn-files.ts';

const RUNS = 60;

let server: SourceServer;
let client: pg.PoolClient;

describe.each([
  ['this server', undefined],
  ['a server before 18, to which a line of \\. is the end', 'postgres-14'],
])('%s', (_server, version) => {
  beforeAll(async () => {
    const binaries = version === undefined ? undefined : { ...(await findPostgresBinaries(version)), locale: ['--locale', 'C'] };
    server = await startSourceServer({}, binaries);
    // COPY needs nothing of a client that one of a pool has on top.
    client = (await server.connect()) as pg.PoolClient;
    await client.query(`create type mood as enum ('sad', 'ok', 'so-so')`);
  });
  afterAll(() => server.stop());

  test('every value of every type', async () => {
    for (const [sqlType, values] of TYPES) await expectSame(client, everyValue({ sqlType, values, schema: null, notNull: false }));
    for (const [schema, values, types] of SCHEMAS) {
      for (const sqlType of types) await expectSame(client, everyValue({ sqlType, values, schema: schema(), notNull: false }));
    }
  });

  test.each(['\n', '\r\n'])('a file of many blocks of reading, with line ends %j', async (lineEnd) => {
    const lines = ['c0,c1'];
    for (let index = 0; index < 30_000; index++) {
      if (index % 997 === 0) lines.push(`${index},"not closed`);
      else if (index % 4999 === 0) lines.push('y'.repeat(300_000));
      else if (index % 501 === 0) lines.push('');
      else if (index % 703 === 0) lines.push(`+${index},plus`);
      else if (index % 809 === 0) lines.push(`${index},\xff`);
      else if (index % 3 === 0) lines.push(`"${index}","${'x'.repeat(index % 90)}\n""${index}"""`);
      else lines.push(`${index},${'é'.repeat(index < 15_000 ? 0 : index % 40)}`);
    }
    // One line end of another kind; and a byte that is no UTF-8.
    const text = lines.join(lineEnd).replace(/\r?\n1000,/, lineEnd === '\n' ? '\r\n1000,' : '\n1000,');
    const parts = text.split('\xff').map((part) => Buffer.from(part));
    const content = Buffer.concat(parts.flatMap((part, nth) => (nth > 0 ? [Buffer.from([0xff]), part] : [part])));
    for (const withPosition of [true, false]) {
      const isShort = await expectSame(client, {
        files: { 'a.csv': content },
        options: { maxRecordBytes: 200_000 },
        columns: [
          { name: 'c1', sqlType: 'text', notNull: false, enumLabels: null },
          { name: 'c0', sqlType: 'integer', notNull: true, enumLabels: null },
        ],
        schema: compileRowSchema(z.object({ c0: z.int().max(29_990), c1: z.string().max(120).nullable() })),
        withPosition,
        partitionBy: { by: 'bytes', size: 500_000 },
        maxRows: 7_000,
        maxBytes: 300_000,
      });
      expect(isShort).toBe(true);
    }
  });

  test.each([
    ['a row schema', cases(typed, true)],
    ['columns of the target alone', cases(untyped, false)],
  ])('files of any content, with %s', async (_name, drawn) => {
    let short = 0;
    await fc.assert(
      fc.asyncProperty(drawn, async (test) => {
        if (await expectSame(client, test)) short++;
      }),
      { numRuns: RUNS },
    );
    expect(short).toBeGreaterThan(RUNS / 2);
  });
});
