/**
 * The next chunk of CSV files as CSV for COPY. Plain records go on as the bytes that they are; each of the others is judged like any
 * record, by the row parser and the row encoder, and written anew.
 */
import { CopyPieces } from '../../validation/copy-pieces.ts';
import { POSITION_COLUMN, RecordJudge } from '../../validation/encode-records.ts';
import { recordEncoding } from '../../validation/record-encoding.ts';
import { splitLine } from '../postgres/copy-text-lines.ts';
import { packPosition, readBounds } from '../record-files/bounds.ts';
import { ChunkWalk, type OpenRange } from '../record-files/chunk-walk.ts';
import { isProblem, markMembership, markOfValue, membership } from '../record-files/membership.ts';
import type { RecordFormat } from '../record-files/record-format.ts';
import { RejectedRows } from '../rejected-rows.ts';
import type { CopyChunk, CopyDialect, CopyRequest } from '../source.ts';
import { isDefaultDialect, lineWriter } from './copy-dialect.ts';
import { lookAtFields } from './field-looks.ts';
import { type Gate, PlainRecords } from './plain-records.ts';

/** Records of one scan. */
const STRETCH = 1000;

/**
 * @param firstColumns columns of the file that the chunk begins in: where they are those of the request, the bytes keep their order
 */
export function readCopyChunk(
  format: RecordFormat,
  dialect: CopyDialect,
  firstColumns: readonly string[],
  request: CopyRequest,
): CopyChunk {
  const { partition, signal, maxRows, maxBytes, withPosition = true } = request;
  const bounds = readBounds(partition.bounds);
  const wanted = request.columns.map((column) => column.name);
  const given = sameNames(firstColumns, wanted) ? firstColumns : wanted;
  const { judge: partitionJudge } = bounds;
  const walk = new ChunkWalk(format, bounds, request, partitionJudge ? [...new Set([...wanted, partitionJudge.column])] : wanted);
  const { rowSchema = null, columns: staged } = request;
  const rejected = new RejectedRows(request.maxRejectedBytes);
  const judge = new RecordJudge(recordEncoding({ schema: rowSchema, staged, from: 'text', withPosition: false }), rejected);
  const write = lineWriter(dialect);
  const belongs = membership(partitionJudge, partition.filter);
  const looks = lookAtFields(staged, rowSchema);
  const pieces = new CopyPieces();
  let done = false;
  return {
    format: 'csv',
    dialect: isDefaultDialect(dialect) ? undefined : dialect,
    columns: withPosition ? [POSITION_COLUMN, ...given] : given,
    bytes: bytes(),
    end() {
      if (!done) throw new Error('end() is valid once bytes is exhausted');
      return { ...walk.end(), rowsRead: walk.rows, rejected: rejected.rows };
    },
  };

  async function* bytes(): AsyncGenerator<Buffer> {
    let lineEnd: '\n' | '\r\n' | null = null;
    try {
      for (let range = await walk.nextRange(); range; range = await walk.nextRange()) {
        const { cursor, to } = range;
        let plain: PlainRecords | null = null;
        for (;;) {
          if (cursor.window.bytes.length > 0) {
            lineEnd ??= withPosition ? '\n' : firstLineEnd(cursor.window.bytes, cursor.index);
            plain ??= plainRecords(range, lineEnd);
            if (plain && scan(plain, range)) break;
            if (pieces.isReady) {
              yield pieces.take();
              signal.throwIfAborted();
            }
            if (plain && plain.rows === STRETCH) continue;
          }
          const record = cursor.next(to);
          if (record === undefined) {
            await walk.fill();
            continue;
          }
          if (record === null) break;
          const kept = belongs(record);
          if (kept === false) continue;
          record.position = packPosition(range.index, record.offset);
          writeAnew(kept === true ? record : record.withProblem(kept), lineEnd ?? '\n');
          if (walk.count(1, cursor.offset - record.offset)) break;
        }
        if (walk.isFull) break;
      }
      if (!pieces.isEmpty) yield pieces.take();
      done = true;
    } finally {
      await walk.close();
    }
  }

  /** @returns whether the chunk ends with the records found */
  function scan(plain: PlainRecords, { cursor, index, to }: OpenRange): boolean {
    const { window } = cursor;
    plain.rows = 0;
    if (cursor.index < 0) return false;
    const rows = Math.min(STRETCH, maxRows - walk.rows);
    plain.scan(window, cursor.index, to - window.offset, packPosition(index, window.offset), rows, maxBytes - walk.bytes);
    cursor.skipTo(plain.at);
    return plain.rows > 0 && walk.count(plain.rows, plain.bytes);
  }

  function writeAnew(record: Parameters<RecordJudge['line']>[0], lineEnd: string): void {
    const line = judge.line(record);
    if (line === null) return;
    const values = splitLine(line.slice(0, -1));
    const ordered = given === wanted ? values : given.map((name) => values[wanted.indexOf(name)] ?? null);
    pieces.write((withPosition ? `${record.position}${dialect.delimiter}` : '') + write(ordered) + lineEnd);
  }

  /** @returns null where no record of the file can be plain */
  function plainRecords({ cursor }: OpenRange, lineEnd: '\n' | '\r\n'): PlainRecords | null {
    const { columns } = cursor.layout;
    const fields = [...looks].flatMap(([name, { look, nullPasses }]) => {
      const index = columns.indexOf(name);
      return index < 0 || (look === null && nullPasses) ? [] : [{ index, look, nullPasses }];
    });
    if ([...looks].some(([name, { absentPasses }]) => !absentPasses && !columns.includes(name))) return null;
    const gate = gateOf(columns);
    if (gate === null) return null;
    const isAsGiven = columns.length === given.length && columns.every((name, index) => name === given[index]);
    return new PlainRecords(
      {
        dialect,
        fields: columns.length,
        looks: fields,
        gate: gate === 'open' ? null : gate,
        order: isAsGiven ? null : given.map((name) => columns.indexOf(name)),
        withPosition,
        maxRecordBytes: format.maxRecordBytes,
        lineEnd,
      },
      pieces,
    );
  }

  function gateOf(columns: readonly string[]): Gate | 'open' | null {
    if (!partitionJudge) return 'open';
    const { by, column } = partitionJudge;
    const index = columns.indexOf(column);
    if (index < 0) return null;
    const isMember = markMembership(partitionJudge, partition.filter);
    return {
      index,
      belongs(value) {
        const mark = markOfValue(value, by, column);
        const kept = isMember(mark);
        return isProblem(mark) && kept !== false ? null : kept === true;
      },
    };
  }
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && others.every((name) => some.includes(name));
}

/** How the first line of the window from `from` on ends. */
function firstLineEnd(bytes: Buffer, from: number): '\n' | '\r\n' {
  const at = bytes.indexOf('\n', Math.max(from, 0));
  return at > 0 && bytes[at - 1] === 0x0d ? '\r\n' : '\n';
}
