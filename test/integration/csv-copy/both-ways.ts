/** CSV files are copied the short way, as bytes, and the long way, record by record. */
import { join } from 'node:path';
import type pg from 'pg';
import { copyIn } from '../../../src/activities/copy-in.ts';
import { type CsvOptions, csv, csvConfig } from '../../../src/connectors/csv/config.ts';
import { createCsvSource } from '../../../src/connectors/csv/source.ts';
import type { CopyChunk, CopyRequest, PlannedPartition, Source } from '../../../src/connectors/source.ts';
import { encodeRecords } from '../../../src/validation/encode-records.ts';
import { recordEncoding } from '../../../src/validation/record-encoding.ts';
import type { RowSchema } from '../../../src/validation/row-schema.ts';
import { plan, withFiles } from '../../unit/csv/record-files.ts';
import { never } from '../postgres-source/source-server.ts';

interface StagedColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly notNull: boolean;
  readonly enumLabels: readonly string[] | null;
}

export interface Case {
  readonly files: Readonly<Record<string, Buffer>>;
  readonly options: Omit<CsvOptions, 'files'>;
  readonly columns: readonly StagedColumn[];
  readonly schema: RowSchema | null;
  readonly withPosition: boolean;
  readonly partitionBy: Parameters<Source['plan']>[0]['partitioning'];
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** What became of the files. */
interface Copied {
  readonly rows: readonly unknown[];
  readonly chunks: readonly unknown[];
}

async function copyAll(client: pg.PoolClient, test: Case, source: Source, way: 'short' | 'long'): Promise<Copied> {
  const { columns, schema, withPosition } = test;
  const declared = columns.map((column) => `"${column.name}" ${column.sqlType}`);
  await client.query('drop table if exists staging');
  await client.query(`create temporary table staging (nth serial, _sluice_position bigint, ${declared.join(', ')})`);
  const chunks: unknown[] = [];
  for (const partition of await plan(source, test.partitionBy)) {
    for (let position: CopyRequest['position'] = null; ; ) {
      const request: CopyRequest = {
        partition: JSON.parse(JSON.stringify(partition)) as PlannedPartition,
        window: null,
        position,
        maxRows: test.maxRows,
        maxBytes: test.maxBytes,
        signal: never,
        columns,
        schema: schema?.columns ?? [],
        rowSchema: schema,
        transfer: 'csv',
        withPosition,
      };
      const chunk = way === 'short' ? await readShort(source, request) : await readLong(source, request);
      const staged = await copyIn(client, 'staging', chunk);
      const end = chunk.end();
      chunks.push({
        partition: partition.name,
        position: end.position,
        last: end.last,
        rowsRead: end.rowsRead,
        staged,
        rejected: end.rejected.map((row) => ({ ...row, record: row.record.toString('latin1') })),
      });
      if (end.last) break;
      position = JSON.parse(JSON.stringify(end.position));
    }
  }
  const { rows } = await client.query(`select row_to_json(s)::text as row from (table staging order by nth) as s`);
  return { rows: rows.map((row: { row: string }) => row.row), chunks };
}

async function readShort(source: Source, request: CopyRequest): Promise<CopyChunk> {
  if (!source.readCopy) throw new Error('the source has no readCopy');
  return await source.readCopy(request);
}

async function readLong(source: Source, request: CopyRequest): Promise<CopyChunk> {
  const { columns, rowSchema = null, withPosition = true } = request;
  const records = await source.readRecords({ ...request, columns: columns.map((column) => column.name) });
  return encodeRecords(records, recordEncoding({ schema: rowSchema, staged: columns, from: 'text', withPosition }));
}

/** @returns whether the files may go the short way */
export async function expectSame(client: pg.PoolClient, test: Case): Promise<boolean> {
  return await withFiles(test.files, async (folder) => {
    const source = createCsvSource(csvConfig.parse(csv({ files: join(folder, '*.csv'), ...test.options })));
    const { transfer } = await source.chooseTransfer({ columns: test.columns, schema: test.schema?.columns ?? [], rowSchema: test.schema });
    if (transfer !== 'csv') return false;
    const tried = async (way: 'short' | 'long') => await copyAll(client, test, source, way).catch((error: Error) => error);
    const long = await tried('long');
    const short = await tried('short');
    // What only the server refuses makes the chunk be copied again with care, whichever way it was read.
    if (long instanceof Error) expect((short as { code?: string }).code).toBe((long as { code?: string }).code);
    else expect(short).toEqual(long);
    return true;
  });
}
