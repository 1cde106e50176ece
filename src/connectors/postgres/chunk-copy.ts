/** A chunk as the bytes of a COPY, untouched, or with the row schema's checks made on the way. */
import { PermanentError } from '../../errors.ts';
import { NeedsRecords } from '../needs-records.ts';
import { RejectedRows } from '../rejected-rows.ts';
import type { ChunkEnd, ChunkRequest, CopyChunk, CopyRequest, RejectedRow } from '../source.ts';
import { type BinaryChecks, planBinaryChecks } from './binary-checks.ts';
import { checkBinaryRows } from './binary-rows.ts';
import type { PostgresSourceConfig } from './config.ts';
import { type Database, quoteName } from './database.ts';
import { findChunk, nextPosition, readPosition, toJson } from './key-ranges.ts';
import type { NextChunks } from './next-chunk.ts';
import { ReadTransaction } from './read-transaction.ts';
import { columnOf, type Relation, readRelation, requireReadable } from './relation.ts';
import type { SourceWatch } from './source-watch.ts';
import { binaryFit } from './types.ts';

/** What is needed to open a source's transactions. */
export interface Opening {
  readonly database: Database;
  readonly config: PostgresSourceConfig;
  /** Table to lock before the snapshot; null for none. */
  readonly lock: () => Promise<string | null>;
  readonly next: NextChunks;
  /** What the plan and the chunks before have seen of the source. */
  readonly watch: (request: Pick<ChunkRequest, 'partition' | 'position'>) => SourceWatch;
}

/**
 * The transaction begins when the bytes are first asked for, and is over when they are exhausted, when the reader stops, or when the signal
 * is aborted.
 */
export function copyChunk(opening: Opening, request: CopyRequest): CopyChunk {
  let bytesRead = 0;
  let end: (ChunkEnd & { rowsRead: number; rejected: readonly RejectedRow[] }) | null = null;

  async function* bytes(): AsyncGenerator<Buffer, void, void> {
    const { database, config } = opening;
    const known = await opening.next.take(request);
    const watch = opening.watch(request);
    const transaction = await ReadTransaction.begin(database, { signal: request.signal, lock: await opening.lock(), watch });
    try {
      const relation = await readRelation(transaction, database, config);
      const names = request.columns.map((column) => column.name);
      await requireReadable(transaction, relation, config, names, database.label);
      const range = await findChunk(transaction, relation, request, database.label, known);
      const start = readPosition(request.position);
      if (!range.last) opening.next.lookFor(relation, { ...request, position: toJson({ ...start, after: range.upTo }) });
      const checks = checksOf(relation, request, database.label);
      const rejected = new RejectedRows(request.maxRejectedBytes);
      // Only rows that may be refused are numbered, and have to come in the same order again.
      const rows = `${range.where}${checks ? range.orderBy : ''}`;
      const statement = copyStatement(relation, request, rows, database.label);
      const pieces = measured(transaction.copy(statement));
      if (checks) yield* checkBinaryRows(pieces, checks, start.rows, rejected);
      else yield* pieces;
      await transaction.commit();
      const rowsRead = transaction.rowsCopied;
      end = {
        position: toJson({ ...nextPosition(start, range, rowsRead, bytesRead), seen: watch.seen }),
        last: range.last,
        rowsRead,
        rejected: rejected.rows,
      };
    } finally {
      transaction.abandon();
    }
  }

  async function* measured(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    for await (const piece of pieces) {
      bytesRead += piece.length;
      yield piece;
    }
  }

  return {
    format: request.transfer === 'binary' ? 'binary' : 'text',
    columns: request.columns.map((column) => column.name),
    bytes: bytes(),
    end() {
      if (!end) throw new Error('the chunk has not been read to its end');
      return end;
    },
  };
}

/** The table may have changed since the transfer was chosen: a column that may be null now has to be looked at. */
function checksOf(relation: Relation, request: CopyRequest, label: string): BinaryChecks | null {
  const checks = planBinaryChecks(relation, request, label);
  if (checks === null || (request.transfer === 'binary' && !(checks instanceof NeedsRecords))) return checks;
  throw new PermanentError(
    'SourceChanged',
    `${label}: the columns of ${relation.label} are not as planned: the rows have to be looked at one by one now. Start a new run.`,
  );
}

function copyStatement(relation: Relation, request: CopyRequest, where: string, label: string): string {
  const binary = request.transfer === 'binary';
  const columns = request.columns.map(({ name, sqlType }) => {
    const column = columnOf(relation, name, label);
    const fit = binary ? binaryFit(column, sqlType) : 'untouched';
    if (fit === 'no') {
      throw new PermanentError(
        'SourceChanged',
        `${label}: column "${name}" of ${relation.label} is ${column.sqlType} now, which does not fit ${sqlType} as planned. Start a new run.`,
      );
    }
    return fit === 'cast' ? `${quoteName(name)}::${sqlType} as ${quoteName(name)}` : quoteName(name);
  });
  return `copy (select ${columns.join(', ')} from ${relation.from} where ${where}) to stdout${binary ? ' (format binary)' : ''}`;
}
