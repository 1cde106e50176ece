/** Divides the records of files into partitions. */
import { DefinitionError } from '../../errors.ts';
import type { PlannedFile } from '../files.ts';
import type { PartitionFilter, Partitioning, PlannedPartition } from '../source.ts';
import { type FileBounds, type FileRange, requireAddressable, toJson } from './bounds.ts';
import { instant, isProblem, type Mark, markOf } from './membership.ts';
import { RecordCursor } from './record-cursor.ts';
import type { RecordFormat } from './record-format.ts';

/** More partitions than this are a column that is no partition column. */
const MOST_PARTITIONS = 100_000;

/**
 * The partitions, in the order of their dates or values.
 *
 * By date or value, the files are read once; a partition has the byte range of each file that covers its records, and reads over
 * the records of others in it. Records that do not say where they belong (bad records, dates that do not exist) are a last
 * partition `unreadable`, and null is a partition of its own (outside of the bounds of a bounded plan).
 *
 * @throws DefinitionError for a partitioning that files cannot have
 */
export async function* planFiles(
  files: readonly PlannedFile[],
  format: RecordFormat,
  partitioning: Partitioning,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  switch (partitioning.by) {
    case 'none':
      yield wholeFiles(files, 'all');
      return;
    case 'file':
      for (const [index, file] of files.entries()) yield wholeFiles([file], fileName(files, index));
      return;
    case 'bytes':
      for (const [index, file] of files.entries()) yield* partsOf(file, fileName(files, index), format, partitioning.size, signal);
      return;
    case 'range':
      throw new DefinitionError(
        `Files cannot be divided into key ranges by "${partitioning.column}". Partition by file (\`file()\`), by date or by value, or load from a database.`,
      );
    case 'date':
      yield* byMarks(files, await scan(files, format, 'date', partitioning.column, dateBuckets(partitioning), signal), partitioning);
      return;
    case 'value':
      yield* byMarks(files, await scan(files, format, 'value', partitioning.column, (mark) => String(mark), signal), partitioning);
      return;
  }
}

function wholeFiles(files: readonly PlannedFile[], name: string): PlannedPartition {
  const bounds: FileBounds = {
    files: [...files],
    ranges: files.map((file, index): FileRange => [index, 0, file.bytes]),
    judge: null,
  };
  requireAddressable(bounds);
  return { name, filter: { kind: 'all' }, bounds: toJson(bounds), rowsExpected: null };
}

/** A file in parts of at most so many bytes, about, each from the beginning of a record to that of another. */
async function* partsOf(
  file: PlannedFile,
  name: string,
  format: RecordFormat,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  const count = Math.ceil(file.bytes / size);
  if (count < 2) {
    yield wholeFiles([file], name);
    return;
  }
  const offsets = Array.from({ length: count - 1 }, (_, index) => Math.round(((index + 1) * file.bytes) / count));
  const cursor = await RecordCursor.open(file, format, []);
  const starts = await format.recordStarts(cursor, offsets, signal).finally(() => cursor.close());
  // A record longer than a part makes some of them empty.
  const ends = [...new Set([...starts, file.bytes])].filter((end) => end > 0);
  let from = 0;
  for (const [index, to] of ends.entries()) {
    const bounds: FileBounds = { files: [file], ranges: [[0, from, to]], judge: null };
    requireAddressable(bounds);
    const part = ends.length === 1 ? name : `${name} part ${index + 1} of ${ends.length}`;
    yield { name: part, filter: { kind: 'all' }, bounds: toJson(bounds), rowsExpected: null };
    from = to;
  }
}

/** The last parts of the path that tell the file from all others. */
function fileName(files: readonly PlannedFile[], index: number): string {
  const path = files[index]?.path ?? '';
  const parts = path.split(/[\\/]/);
  for (let count = 1; count < parts.length; count++) {
    const name = parts.slice(-count).join('/');
    if (files.every((file, other) => other === index || !`/${file.path.replaceAll('\\', '/')}`.endsWith(`/${name}`))) return name;
  }
  return path;
}

/** The records of one partition: their number, and by file the offsets from the first to behind the last. */
class Bucket {
  rows = 0;
  readonly ranges = new Map<number, [from: number, to: number]>();

  add(file: number, offset: number, end: number): void {
    this.rows++;
    const range = this.ranges.get(file);
    if (range) range[1] = end;
    else this.ranges.set(file, [offset, end]);
  }
}

interface Scanned {
  readonly buckets: ReadonlyMap<string, Bucket>;
  readonly nulls: Bucket;
  readonly unreadable: Bucket;
}

/** Reads the files once. `key` names the bucket of a mark, or null for a record that is not part of the run. */
async function scan(
  files: readonly PlannedFile[],
  format: RecordFormat,
  by: 'date' | 'value',
  column: string,
  key: (mark: Exclude<Mark, null | object>) => string | null,
  signal: AbortSignal,
): Promise<Scanned> {
  const buckets = new Map<string, Bucket>();
  const nulls = new Bucket();
  const unreadable = new Bucket();
  const bucketOf = (mark: Mark): Bucket | null => {
    if (mark === null) return nulls;
    if (isProblem(mark)) return unreadable;
    const name = key(mark);
    if (name === null) return null;
    let bucket = buckets.get(name);
    if (!bucket) {
      if (buckets.size >= MOST_PARTITIONS) {
        throw new DefinitionError(
          `Column "${column}" has more than ${MOST_PARTITIONS} partitions. Partition by something coarser, or by file.`,
        );
      }
      bucket = new Bucket();
      buckets.set(name, bucket);
    }
    return bucket;
  };
  for (const [index, file] of files.entries()) {
    const cursor = await RecordCursor.open(file, format, [column]);
    try {
      for (;;) {
        const record = cursor.next(file.bytes);
        if (record === null) break;
        if (record === undefined) {
          signal.throwIfAborted();
          await cursor.fill();
          continue;
        }
        bucketOf(markOf(record, by, column))?.add(index, record.offset, cursor.offset);
      }
    } finally {
      await cursor.close();
    }
  }
  return { buckets, nulls, unreadable };
}

type ByMark = Extract<Partitioning, { by: 'date' | 'value' }>;

function* byMarks(files: readonly PlannedFile[], scanned: Scanned, partitioning: ByMark): Generator<PlannedPartition> {
  const { by, column } = partitioning;
  const partition = (name: string, filter: PartitionFilter, bucket: Bucket, unreadable = false): PlannedPartition => {
    const touched = [...bucket.ranges.keys()];
    const bounds: FileBounds = {
      files: touched.flatMap((index) => files[index] ?? []),
      ranges: [...bucket.ranges.values()].map(([from, to], index): FileRange => [index, from, to]),
      judge: { by, column, unreadable },
    };
    requireAddressable(bounds);
    return { name, filter, bounds: toJson(bounds), rowsExpected: bucket.rows };
  };
  const none = new Bucket();
  const asNull = () => partition(`${column} is null`, { kind: 'equals', column, value: null }, scanned.nulls);

  if (by === 'date') {
    for (const name of datesToPlan(partitioning, [...scanned.buckets.keys()])) {
      const bounds = clip(partitioning, unitBounds(name));
      yield partition(name, { kind: 'between', column, ...bounds }, scanned.buckets.get(name) ?? none);
    }
    if (scanned.nulls.rows > 0 && partitioning.from === undefined && partitioning.to === undefined) yield asNull();
  } else {
    const values = partitioning.values ?? [...scanned.buckets.keys()].sort();
    for (const value of new Set(values)) {
      if (value === null) yield asNull();
      else
        yield partition(`${column}=${value === '' ? '""' : value}`, { kind: 'equals', column, value }, scanned.buckets.get(value) ?? none);
    }
    if (scanned.nulls.rows > 0 && partitioning.values === undefined) yield asNull();
  }
  if (scanned.unreadable.rows > 0) yield partition('unreadable', { kind: 'none' }, scanned.unreadable, true);
}

/** Years that a text can name here. A zone may take an instant of the first or the last one into the year before or after them. */
const YEAR_1 = Date.parse('0001-01-01T00:00:00Z');
const YEAR_10000 = Date.UTC(10_000, 0, 1);

type ByDate = Extract<Partitioning, { by: 'date' }>;

/** Names the day, month or year (UTC) of an instant: `2001-03-05`, `2001-03`, `2001`; of one before or after all years, the first or the last. */
function dateBuckets(partitioning: ByDate): (mark: number | string) => string | null {
  const { from, to } = limits(partitioning);
  const length = { day: 10, month: 7, year: 4 }[partitioning.unit];
  return (mark) => {
    if (typeof mark !== 'number' || mark < from || mark >= to) return null;
    return new Date(Math.min(Math.max(mark, YEAR_1), YEAR_10000 - 1)).toISOString().slice(0, length);
  };
}

function limits(partitioning: ByDate): { from: number; to: number } {
  const read = (text: string | undefined, otherwise: number, place: string): number => {
    if (text === undefined) return otherwise;
    const found = instant(text);
    if (Number.isNaN(found))
      throw new DefinitionError(`partitionBy.${place}: "${text}" is not a date that exists; write it like 2001-03-05.`);
    if (found < YEAR_1 || found >= YEAR_10000)
      throw new DefinitionError(
        `partitionBy.${place}: "${text}" is not in the years 1 to 9999 of UTC; name a later or an earlier instant, or none.`,
      );
    return found;
  };
  return {
    from: read(partitioning.from, Number.NEGATIVE_INFINITY, 'from'),
    to: read(partitioning.to, Number.POSITIVE_INFINITY, 'to'),
  };
}

/** With both bounds given, every unit between them is a partition, so that a unit without rows replaces what was there. */
function datesToPlan(partitioning: ByDate, found: readonly string[]): string[] {
  const { from, to } = limits(partitioning);
  if (!Number.isFinite(from) || !Number.isFinite(to)) return [...found].sort();
  const name = dateBuckets(partitioning);
  const names: string[] = [];
  for (let at = from; at < to; ) {
    const unit = name(at);
    if (unit === null) break;
    if (names.length >= MOST_PARTITIONS)
      throw new DefinitionError(`partitionBy: more than ${MOST_PARTITIONS} partitions between the bounds.`);
    names.push(unit);
    at = Date.parse(unitBounds(unit).to);
  }
  return names;
}

function unitBounds(name: string): { from: string; to: string } {
  const [year = 0, month = 1, day = 1] = name.split('-').map(Number);
  const parts = name.split('-').length;
  const end = new Date(0);
  end.setUTCFullYear(parts === 1 ? year + 1 : year, parts === 2 ? month : month - 1, parts === 3 ? day + 1 : 1);
  const start = new Date(0);
  start.setUTCFullYear(year, month - 1, day);
  return { from: start.toISOString(), to: end.toISOString() };
}

/**
 * The unit within the run's own bounds, in PostgreSQL's input format; right for date and for both kinds of timestamp. Where the run has no
 * bounds, the first unit of all years and the last one are open, since they have what lies before or after all years.
 */
function clip(partitioning: ByDate, unit: { from: string; to: string }): { from: string | null; to: string | null } {
  const { from, to } = limits(partitioning);
  const begin = Date.parse(unit.from);
  const end = Math.min(Date.parse(unit.to), to);
  return {
    from: begin === YEAR_1 && from < YEAR_1 ? null : sqlText(Math.max(begin, from)),
    to: end === YEAR_10000 ? null : sqlText(end),
  };
}

function sqlText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('T', ' ').replace('Z', '+00').replace('.000+', '+');
}
