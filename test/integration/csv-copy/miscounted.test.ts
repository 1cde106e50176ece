/** What COPY wrote is what the source gave, or nothing is recorded: a server before 18 takes a line of `\.` for the end of CSV. */
import { join } from 'node:path';
import type pg from 'pg';
import { z } from 'zod';
import { ChunkWriter, MiscountedChunk, needsCare } from '../../../src/activities/chunk-writer.ts';
import { csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import type { CopyChunk, Source } from '../../../src/connectors/source.ts';
import type { RunPlan } from '../../../src/ledger/run-plan.ts';
import { findPostgresBinaries } from '../../../src/local/postgres-binaries.ts';
import { definePipeline } from '../../../src/pipeline/definition.ts';
import { plan, withFiles } from '../../unit/csv/record-files.ts';
import { type SourceServer, startSourceServer } from '../postgres-source/source-server.ts';

let server: SourceServer;
let client: pg.PoolClient;

beforeAll(async () => {
  server = await startSourceServer({}, { ...(await findPostgresBinaries('postgres-14')), locale: ['--locale', 'C'] });
  client = (await server.connect()) as pg.PoolClient;
  await client.query('create temporary table staging (_sluice_position bigint, name text)');
});
afterAll(() => server.stop());

const TEN = { maxRows: 10, maxRejectedBytes: Number.POSITIVE_INFINITY };
const FILE = 'name\na\n\\.\nb\n';

/** The source, but its bytes are those of the file whatever is in them. */
function careless(source: Source): Source {
  const readCopy = async (): Promise<CopyChunk> => ({
    format: 'csv',
    columns: ['name'],
    bytes: (async function* () {
      yield Buffer.from(FILE.slice(FILE.indexOf('\n') + 1));
    })(),
    end: () => ({ position: null, last: true, rowsRead: 3, rejected: [] }),
  });
  return Object.assign(Object.create(source) as Source, { readCopy, readRecords: source.readRecords.bind(source) });
}

test('a chunk that was cut short is not recorded, and is whole when copied row by row', async () => {
  await withFiles({ 'a.csv': FILE }, async (folder) => {
    const options = csv({ files: join(folder, 'a.csv') });
    const source = createCsvSource(csvConfig.parse(options));
    const pipeline = definePipeline({
      name: 'lines',
      source: options,
      row: z.object({ name: z.string() }),
      target: { kind: 'postgres', table: 'lines', mode: 'append' },
    }).bind({});
    const staged = [{ name: 'name', sqlType: 'text', notNull: true }];
    const planned = { transfer: 'csv', read: ['name'], staged, loaded: staged, window: null } as unknown as RunPlan;
    const [partition] = await plan(source, { by: 'none' });
    if (!partition) throw new Error('no partition');
    const writer = (from: Source) =>
      new ChunkWriter({ name: 'staging', marked: true, logged: false }, { source: from, pipeline, plan: planned, planned: partition });

    await client.query('begin');
    const failed = await writer(careless(source))
      .write(client, null, TEN)
      .catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(MiscountedChunk);
    expect(failed).toMatchObject({ message: expect.stringContaining('the source gave 3 rows, and COPY wrote 1') });
    expect(needsCare(failed)).toBe(true);
    await client.query('rollback; begin');

    // The careful way reads records, and the source itself writes such a line so that it is data.
    expect(await writer(careless(source)).writeCarefully(client, null, TEN)).toMatchObject({ staged: 3, rowsRead: 3, last: true });
    expect(await writer(source).write(client, null, TEN)).toMatchObject({ staged: 3, rowsRead: 3, last: true });
    await client.query('commit');
    const { rows } = await client.query('select name, count(*)::int as times from staging group by name order by name collate "C"');
    expect(rows).toEqual([
      { name: '\\.', times: 2 },
      { name: 'a', times: 2 },
      { name: 'b', times: 2 },
    ]);
  });
});
