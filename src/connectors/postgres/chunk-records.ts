/** A chunk row by row: values as PostgreSQL's text, in the order of the key. */
import type { ColumnType } from '../../validation/row-schema.ts';
import { rowMaker } from '../../validation/row-shape.ts';
import type { ChunkEnd, ChunkRequest, RecordChunk, SourceRecord } from '../source.ts';
import type { Opening } from './chunk-copy.ts';
import { CopyTextLines } from './copy-text-lines.ts';
import { quoteName } from './database.ts';
import { findChunk, nextPosition, readPosition, toJson } from './key-ranges.ts';
import { ReadTransaction } from './read-transaction.ts';
import { type Relation, readRelation, requireReadable } from './relation.ts';
import { baseType } from './types.ts';

/** Few: what waits in memory is copied by each garbage collection of the young generation. */
const BATCH_ROWS = 100;

/**
 * The transaction begins when the first batch is asked for, and is over when they are exhausted, when the reader stops, or when the signal
 * is aborted. The position of a record is its number in the partition.
 */
export function recordChunk(opening: Opening, request: ChunkRequest & { readonly schema?: readonly ColumnType[] }): RecordChunk {
  let end: ChunkEnd | null = null;

  async function* batches(): AsyncGenerator<readonly SourceRecord[], void, void> {
    const { database, config } = opening;
    const known = await opening.next.take(request);
    const watch = opening.watch(request);
    const transaction = await ReadTransaction.begin(database, { signal: request.signal, lock: await opening.lock(), watch });
    try {
      const relation = await readRelation(transaction, database, config);
      await requireReadable(transaction, relation, config, request.columns, database.label);
      const range = await findChunk(transaction, relation, request, database.label, known);
      const columns = request.columns.map((name) => selected(relation, name, request.schema)).join(', ');
      const lines = new CopyTextLines();
      const makeRow = rowMaker<string>(request.columns);
      const start = readPosition(request.position);
      if (!range.last) opening.next.lookFor(relation, { ...request, position: toJson({ ...start, after: range.upTo }) });
      let rows = 0;
      let bytes = 0;
      let batch: SourceRecord[] = [];
      for await (const piece of transaction.copy(
        `copy (select ${columns} from ${relation.from} where ${range.where}${range.orderBy}) to stdout`,
      )) {
        bytes += piece.length;
        for (const values of lines.read(piece)) {
          batch.push(new PostgresRecord(start.rows + rows, makeRow(values)));
          rows++;
          if (batch.length < BATCH_ROWS) continue;
          yield batch;
          batch = [];
        }
      }
      lines.requireComplete();
      if (batch.length > 0) yield batch;
      await transaction.commit();
      end = { position: toJson({ ...nextPosition(start, range, rows, bytes), seen: watch.seen }), last: range.last };
    } finally {
      transaction.abandon();
    }
  }

  return {
    batches: batches(),
    end() {
      if (!end) throw new Error('the chunk has not been read to its end');
      return end;
    },
  };
}

/** An array is JSON where the row schema wants one: PostgreSQL's own text of it is none. */
function selected(relation: Relation, name: string, schema: readonly ColumnType[] = []): string {
  const column = relation.columns.find((each) => each.name === name);
  const wanted = schema.find((each) => each.name === name);
  const asJson = wanted?.type === 'json' && column !== undefined && baseType(column.type).isArray;
  return asJson ? `to_jsonb(${quoteName(name)})` : quoteName(name);
}

class PostgresRecord implements SourceRecord {
  readonly position: number;
  readonly values: Readonly<Record<string, string | null>>;

  constructor(position: number, values: Readonly<Record<string, string | null>>) {
    this.position = position;
    this.values = values;
  }

  bytes(): Buffer {
    return Buffer.from(JSON.stringify(this.values));
  }
}
