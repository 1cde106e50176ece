/** Reads the next chunk of a partition over files. */
import type { ChunkRequest, RecordChunk, SourceRecord } from '../source.ts';
import { packPosition, readBounds } from './bounds.ts';
import { ChunkWalk } from './chunk-walk.ts';
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
  const columns = bounds.judge ? [...new Set([...request.columns, bounds.judge.column])] : request.columns;
  const walk = new ChunkWalk(format, bounds, request, columns);
  let done = false;
  return {
    batches: batches(),
    end() {
      if (!done) throw new Error('end() is valid once the batches are exhausted');
      return walk.end();
    },
  };

  async function* batches(): AsyncGenerator<readonly SourceRecord[]> {
    let batch: SourceRecord[] = [];
    try {
      for (let range = await walk.nextRange(); range; range = await walk.nextRange()) {
        const { cursor, index, to } = range;
        for (;;) {
          const record = cursor.next(to);
          if (record === undefined) {
            await walk.fill();
            continue;
          }
          if (record === null) break;
          const kept = belongs(record);
          if (kept === false) continue;
          record.position = packPosition(index, record.offset);
          batch.push(kept === true ? record : record.withProblem(kept));
          if (walk.count(1, cursor.offset - record.offset)) {
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
      if (batch.length > 0) yield batch;
      done = true;
    } finally {
      await walk.close();
    }
  }
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
