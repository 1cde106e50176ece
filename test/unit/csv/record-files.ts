/** CSV files on disk for a test, and all that a source reads of them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlannedPartition, Source, SourceRecord } from '../../../src/connectors/source.ts';

export const signal = new AbortController().signal;

export async function withFiles<T>(files: Record<string, string | Buffer>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-files-'));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function plan(source: Source, partitioning: Parameters<Source['plan']>[0]['partitioning']): Promise<PlannedPartition[]> {
  const partitions: PlannedPartition[] = [];
  const { columns } = await source.describe(signal);
  for await (const partition of source.plan({ partitioning, columns: columns.map((each) => each.name), window: null, signal })) {
    partitions.push(partition);
  }
  return partitions;
}

export interface ReadRecord {
  position: number;
  values: Record<string, unknown> | null;
  problem: string | null;
  column: string | null;
  bytes: string;
}

/** All records of a partition, chunk by chunk. */
export async function readAll(
  source: Source,
  partition: PlannedPartition,
  chunk: () => { maxRows: number; maxBytes: number } = () => ({ maxRows: 1e9, maxBytes: 1e12 }),
): Promise<ReadRecord[]> {
  const { columns } = await source.describe(signal);
  const records: ReadRecord[] = [];
  let position: Parameters<Source['readRecords']>[0]['position'] = null;
  for (;;) {
    // The position goes through the ledger, as JSON.
    const request = { partition, columns: columns.map((each) => each.name), window: null, position, signal, ...chunk() };
    const read = await source.readRecords(request);
    let rows = 0;
    for await (const batch of read.batches) {
      rows += batch.length;
      records.push(...batch.map(shown));
    }
    if (rows > request.maxRows) throw new Error('a chunk with more rows than asked for');
    const end = read.end();
    if (end.last) return records;
    position = JSON.parse(JSON.stringify(end.position));
  }
}

function shown(record: SourceRecord): ReadRecord {
  return {
    position: record.position,
    values: record.values ? { ...record.values } : null,
    problem: record.problem?.reason ?? null,
    column: record.problem?.column ?? null,
    bytes: record.bytes().toString('latin1'),
  };
}
