/** Which partition a record belongs to, judged the same when the run is planned and when it is read. */
import { ExactNumber } from '../../validation/exact-number.ts';
import { instantExists, NO_SUCH_DATE, NOT_A_DATE, readInstant, toMilliseconds } from '../../validation/instants.ts';
import type { PartitionFilter } from '../source.ts';
import type { FileBounds } from './bounds.ts';
import type { FileRecord } from './record-cursor.ts';
import type { RecordProblem } from './record-format.ts';

/** What a record says of its partition: a date as milliseconds since 1970, a value as text, null, or why it says nothing. */
export type Mark = number | string | null | RecordProblem;

export function isProblem(mark: Mark): mark is RecordProblem {
  return typeof mark === 'object' && mark !== null;
}

/** The partition column's value in a record. */
export function markOf(record: FileRecord, by: 'date' | 'value', column: string): Mark {
  if (record.problem) return record.problem;
  return markOfValue(record.values && Object.hasOwn(record.values, column) ? record.values[column] : undefined, by, column);
}

/** What the partition column's value says. */
export function markOfValue(value: unknown, by: 'date' | 'value', column: string): Mark {
  if (value === undefined) return { column, reason: 'missing' };
  if (value === null) return null;
  if (by === 'value') {
    if (typeof value === 'object' && !(value instanceof ExactNumber)) return { column, reason: 'expected a single value to partition by' };
    return String(value);
  }
  if (typeof value !== 'string') return { column, reason: NOT_A_DATE };
  const parts = readInstant(value);
  if (!parts) return { column, reason: NOT_A_DATE };
  return instantExists(parts) ? toMilliseconds(parts) : { column, reason: NO_SUCH_DATE };
}

/** Keeps the records of a partition: true, false, or the problem with which an unreadable one goes on. */
export type Membership = (record: FileRecord) => boolean | RecordProblem;

export function membership(judge: FileBounds['judge'], filter: PartitionFilter): Membership {
  if (!judge) return () => true;
  const { by, column } = judge;
  const belongs = markMembership(judge, filter);
  return (record) => belongs(markOf(record, by, column));
}

/** The same, for what a record says of its partition. */
export function markMembership(judge: NonNullable<FileBounds['judge']>, filter: PartitionFilter): (mark: Mark) => boolean | RecordProblem {
  if (judge.unreadable) return (mark) => (isProblem(mark) ? mark : false);
  switch (filter.kind) {
    case 'equals':
      return (mark) => mark === filter.value;
    case 'between': {
      const from = filter.from === null ? Number.NEGATIVE_INFINITY : instant(filter.from);
      const to = filter.to === null ? Number.POSITIVE_INFINITY : instant(filter.to);
      return (mark) => typeof mark === 'number' && mark >= from && mark < to;
    }
    case 'all':
      return () => true;
    case 'none':
      return () => false;
  }
}

/** Milliseconds since 1970 of a bound that the plan wrote. */
export function instant(text: string): number {
  const parts = readInstant(text);
  return parts && instantExists(parts) ? toMilliseconds(parts) : Number.NaN;
}
