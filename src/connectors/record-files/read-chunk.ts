/** Reads the next chunk of a partition over files. */
import type { ChunkRequest, RecordChunk, SourceRecord } from '../source.ts';
import { type ChunkPosition, packPosition, rangesFrom, readBounds } from './bounds.ts';
import { membership } from './membership.ts';
import { type FileRecord, RecordCursor } from './record-cursor.ts';
import type { RecordFormat } from './record-format.ts';

const BATCH = 1000;

/**
 * The records of a chunk in batches. The chunk ends at a record, so that the next one starts at a byte offset; the same request
 * gives the same records.
 */
export function readChunk(format: RecordFormat, request: ChunkRequest): RecordChunk {
  const bounds = readBounds(request.partition.bounds);
  const belongs = membership(bounds.judge, request.partition.filter);
  const ranges = rangesFrom(bounds, request.position);
  const columns = bounds.judge ? [...new Set([...request.columns, bounds.judge.column])] : request.columns;
  let position: ChunkPosition | null = null;
  let last = false;
  let done = false;
  return {
    batches: batches(),
    end() {
      if (!done) throw new Error('end() is valid once the batches are exhausted');
      return { position, last };
    },
  };

  async function* batches(): AsyncGenerator<readonly SourceRecord[]> {
    let batch: SourceRecord[] = [];
    let rows = 0;
    let bytes = 0;
    let cursor: RecordCursor | null = null;
    let opened = -1;
    try {
      for (const [index, from, to] of ranges) {
        const file = bounds.files[index];
        if (!file) throw new Error(`the bounds of partition "${request.partition.name}" have no file ${index}`);
        if (opened !== index) {
          await cursor?.close();
          cursor = null;
          cursor = await RecordCursor.open(file, format, columns);
          opened = index;
        }
        if (!cursor) throw new Error('no file is open');
        cursor.seek(Math.max(from, cursor.layout.firstRecord));
        for (;;) {
          const record = cursor.next(to);
          if (record === undefined) {
            request.signal.throwIfAborted();
            await cursor.fill();
            continue;
          }
          if (record === null) {
            position = { file: index, offset: Math.max(to, cursor.offset) };
            break;
          }
          const kept = belongs(record);
          if (kept === false) continue;
          record.position = packPosition(index, record.offset);
          batch.push(kept === true ? record : record.withProblem(kept));
          rows++;
          bytes += cursor.offset - record.offset;
          if (rows >= request.maxRows || bytes >= request.maxBytes) {
            position = { file: index, offset: cursor.offset };
            last = rangesFrom(bounds, position).length === 0;
            yield batch;
            done = true;
            return;
          }
          if (batch.length >= BATCH) {
            yield batch;
            request.signal.throwIfAborted();
            batch = [];
          }
        }
      }
      last = true;
      position ??= endOf(bounds.ranges) ?? { file: 0, offset: 0 };
      if (batch.length > 0) yield batch;
      done = true;
    } finally {
      await cursor?.close();
    }
  }
}

function endOf(ranges: readonly (readonly [number, number, number])[]): ChunkPosition | null {
  const end = ranges.at(-1);
  return end ? { file: end[0], offset: end[2] } : null;
}

/** The bytes of the records at these positions. */
export async function readRecordsAt(
  format: RecordFormat,
  bounds: ReturnType<typeof readBounds>,
  positions: readonly { readonly position: number; readonly file: number; readonly offset: number }[],
): Promise<Map<number, Buffer>> {
  const found = new Map<number, Buffer>();
  let cursor: RecordCursor | null = null;
  let opened = -1;
  try {
    for (const { position, file: index, offset } of [...positions].sort((a, b) => a.position - b.position)) {
      const file = bounds.files[index];
      if (!file) continue;
      if (opened !== index) {
        await cursor?.close();
        cursor = null;
        cursor = await RecordCursor.open(file, format);
        opened = index;
      }
      if (!cursor) continue;
      cursor.seek(offset);
      const record = await nextRecord(cursor, file.bytes);
      if (record?.offset === offset) found.set(position, record.bytes());
    }
    return found;
  } finally {
    await cursor?.close();
  }
}

async function nextRecord(cursor: RecordCursor, to: number): Promise<FileRecord | null> {
  for (;;) {
    const record = cursor.next(to);
    if (record !== undefined) return record;
    await cursor.fill();
  }
}
