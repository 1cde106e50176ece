/** Divides the rows of the files into partitions, in one grouped query over one column. */
import { PermanentError } from '../../errors.ts';
import type { PlannedFile } from '../files.ts';
import type { PartitionFilter, Partitioning, PlannedPartition } from '../source.ts';
import { type FileBounds, toJson } from './bounds.ts';
import { type QueryContext, queryRows, streamChunks } from './duckdb.ts';
import { type Columns, columnRef, countRows, describeColumns, divideRowGroups, listFiles } from './file-info.ts';
import { filterLiteral, quoteLiteral, readParquet, toPostgresTime } from './sql.ts';
import type { DuckType, TypeKind } from './types.ts';

interface Column {
  readonly name: string;
  readonly ref: string;
  readonly type: DuckType;
}

/** Partitions as they are found: the files are read once, however many partitions there are. */
export async function* planPartitions(
  files: readonly PlannedFile[],
  partitioning: Partitioning,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  const paths = files.map(({ path }) => path);
  if (partitioning.by === 'none' || partitioning.by === 'file') {
    const counts = await countRows(paths, signal);
    const whole = files.map((file, index): FileBounds => ({ ...file, from: 0, to: counts[index] ?? 0, rows: counts[index] ?? 0 }));
    yield* partitioning.by === 'none' ? [partition('all', { kind: 'all' }, whole)] : oneForEachFile(whole);
    return;
  }
  if (partitioning.by === 'bytes') {
    for (const file of files) yield* partsOf(file, nameOf(paths, file.path), partitioning.size, signal);
    return;
  }
  const column = findColumn(partitioning.column, await describeColumns(paths, signal), paths);
  switch (partitioning.by) {
    case 'date':
      return yield* byDate(files, partitioning, column, signal);
    case 'value':
      return yield* byValue(files, partitioning, column, signal);
    case 'range':
      return yield* byRange(files, partitioning.rows, column, signal);
  }
}

function partition(name: string, filter: PartitionFilter, files: readonly FileBounds[]): PlannedPartition {
  return { name, filter, bounds: toJson({ files }), rowsExpected: files.reduce((sum, file) => sum + file.rows, 0) };
}

function oneForEachFile(files: readonly FileBounds[]): PlannedPartition[] {
  const paths = files.map(({ path }) => path);
  return files.map((file) => partition(nameOf(paths, file.path), { kind: 'all' }, [file]));
}

function nameOf(paths: readonly string[], path: string): string {
  const base = (each: string) => each.slice(each.lastIndexOf('/') + 1);
  const distinct = new Set(paths.map(base)).size === paths.length;
  return distinct ? base(path) : path;
}

/** A file in parts of whole row groups. */
async function* partsOf(file: PlannedFile, name: string, size: number, signal: AbortSignal): AsyncGenerator<PlannedPartition> {
  const parts = await divideRowGroups(file.path, size, signal);
  for (const [index, { from, to }] of parts.entries()) {
    const bounds: FileBounds = { ...file, from, to, rows: to - from };
    yield partition(parts.length === 1 ? name : `${name} part ${index + 1} of ${parts.length}`, { kind: 'all' }, [bounds]);
  }
}

function findColumn(name: string, columns: Columns, paths: readonly string[]): Column {
  // As it is described: the target, too, tells names apart by their case.
  const column = columns.names.includes(name) ? columnRef(columns, name) : null;
  if (!column) {
    throw new PermanentError(
      'MissingColumn',
      `${listFiles(paths)} has no column "${name}" to partition by. It has: ${columns.names.join(', ')}.`,
    );
  }
  return { name, ...column };
}

function requireKind(column: Column, kinds: readonly TypeKind[], what: string): void {
  if (kinds.includes(column.type.kind)) return;
  throw new PermanentError(
    'InvalidPartitioning',
    `Column "${column.name}" is of type ${column.type.sql}, which cannot be partitioned by ${what}.`,
  );
}

/** Kinds whose values have a text that means the same value to PostgreSQL. */
const WITH_TEXT: readonly TypeKind[] = [
  'boolean',
  'integer',
  'float',
  'double',
  'decimal',
  'text',
  'uuid',
  'date',
  'timestamp',
  'timestamptz',
  'time',
];

/** Rows that belong together: where they are in one file. */
interface Group {
  /** Columns of the grouped query. */
  readonly [column: string]: unknown;
}

/**
 * Groups rows by expressions and gives, for each group, the files that it is in and the first and last of its rows in each.
 * @param select the group's columns as `name: expression over the alias k`
 */
async function* groups(
  files: readonly PlannedFile[],
  source: string,
  select: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<{ readonly group: Group; readonly files: FileBounds[] }> {
  const context: QueryContext = { files: files.map(({ path }) => path), signal };
  const names = Object.keys(select);
  const grouped = `SELECT k, f, min(r) AS a, max(r) + 1 AS b, count(r) AS n, min(v) AS low, max(v) AS high FROM (${source}) GROUP BY k, f`;
  const texts = names.map((name) => `(${select[name]})::VARCHAR`).join(', ');
  const sql = `SELECT ${texts}, f, a::DOUBLE, b::DOUBLE, n::DOUBLE FROM (${grouped}) ORDER BY k NULLS LAST, f NULLS FIRST`;
  let current: { key: string; group: Group; files: FileBounds[] } | null = null;
  for await (const chunk of streamChunks(context, sql)) {
    for (const row of chunk.getRows()) {
      const key = JSON.stringify(row[0]);
      if (!current || current.key !== key) {
        if (current) yield current;
        current = { key, group: Object.fromEntries(names.map((name, index) => [name, row[index]])), files: [] };
      }
      const [index, from, to, rows] = row.slice(names.length);
      const file = index === null ? undefined : files[Number(index)];
      if (file) current.files.push({ ...file, from: Number(from), to: Number(to), rows: Number(rows) });
    }
  }
  if (current) yield current;
}

const rowsOf = (files: readonly PlannedFile[], key: string, value: string, where: string): string =>
  `SELECT ${key} AS k, ${value} AS v, file_index AS f, file_row_number AS r FROM ${readParquet(files.map(({ path }) => path))} WHERE ${where}`;

async function* byDate(
  files: readonly PlannedFile[],
  { unit, from, to }: Extract<Partitioning, { by: 'date' }>,
  column: Column,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  requireKind(column, ['date', 'timestamp', 'timestamptz'], unit);
  const low = from === undefined ? null : await instantSql(from, signal);
  const high = to === undefined ? null : await instantSql(to, signal);
  const utc = `${column.ref}::TIMESTAMP`;
  const where = [low ? `${utc} >= ${low}` : 'true', high ? `${utc} < ${high}` : 'true'].join(' AND ');
  let source = rowsOf(files, `date_trunc('${unit}', ${utc})`, 'NULL', where);
  if (low && high) {
    // Where the run names its range, a period without rows is a partition too: replacing it empties it.
    const periods = `generate_series(date_trunc('${unit}', ${low}), ${high} - INTERVAL 1 microsecond, INTERVAL 1 ${unit})`;
    source += ` UNION ALL SELECT unnest(${periods}), NULL, NULL, NULL`;
  }
  const next = `k + INTERVAL 1 ${unit}`;
  const select = {
    period: 'k',
    from: low ? `greatest(k, ${low})` : 'k',
    to: `CASE WHEN isfinite(k) THEN ${high ? `least(${next}, ${high})` : next} END`,
  };
  for await (const { group, files: found } of groups(files, source, select, signal)) {
    const period = group.period as string | null;
    if (period === null) yield partition('null', { kind: 'equals', column: column.name, value: null }, found);
    else if (group.to === null) yield partition(period, { kind: 'equals', column: column.name, value: period }, found);
    else {
      const filter = {
        kind: 'between',
        column: column.name,
        from: timeText(group.from as string),
        to: timeText(group.to as string),
      } as const;
      yield partition(periodName(period, unit), filter, found);
    }
  }
}

/** `2001-03-01` at midnight, `2001-03-01 12:00:00` else, as PostgreSQL writes it. */
const timeText = (text: string): string => toPostgresTime(text.replace(/ 00:00:00$/, ''));

function periodName(text: string, unit: 'day' | 'month' | 'year'): string {
  const [, year, month, day] = /^(\d+)-(\d\d)-(\d\d)/.exec(text) ?? [];
  const name = [year, month, day].slice(0, unit === 'year' ? 1 : unit === 'month' ? 2 : 3).join('-');
  return text.includes('(BC)') ? `${name} BC` : name;
}

async function instantSql(text: string, signal: AbortSignal): Promise<string> {
  const [row] = await queryRows({ files: [], signal }, `SELECT TRY_CAST(${quoteLiteral(text)} AS TIMESTAMPTZ)::TIMESTAMP::VARCHAR AS t`);
  if (typeof row?.t !== 'string')
    throw new PermanentError('InvalidPartitioning', `"${text}" is no date: write 2001-02-28, or 2001-02-28T12:00:00Z.`);
  return `TIMESTAMP ${quoteLiteral(row.t)}`;
}

async function* byValue(
  files: readonly PlannedFile[],
  { values }: Extract<Partitioning, { by: 'value' }>,
  column: Column,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  requireKind(column, WITH_TEXT, 'value');
  const wanted = values ? await canonicalValues(values, column, signal) : null;
  const where = wanted ? [...wanted].map((value) => equalsSql(column, value)).join(' OR ') || 'false' : 'true';
  for await (const { group, files: found } of groups(files, rowsOf(files, column.ref, 'NULL', where), { value: 'k' }, signal)) {
    const value = group.value as string | null;
    wanted?.delete(value);
    yield valuePartition(column, value, found);
  }
  // What the run names and the files do not have is a partition too: replacing it empties it.
  for (const value of wanted ?? []) yield valuePartition(column, value, []);
}

function valuePartition(column: Column, text: string | null, files: readonly FileBounds[]): PlannedPartition {
  const value = text === null ? null : valueText(column, text);
  const name = value === null ? `${column.name} is null` : `${column.name}=${value}`;
  return partition(name, { kind: 'equals', column: column.name, value }, files);
}

const equalsSql = (column: Column, value: string | null): string =>
  value === null ? `${column.ref} IS NULL` : `${column.ref} = ${filterLiteral(value, column.type)}`;

/** Values as DuckDB writes them, so that they are found again among those of the files. */
async function canonicalValues(values: readonly (string | null)[], column: Column, signal: AbortSignal): Promise<Set<string | null>> {
  const found = new Set<string | null>();
  for (const value of values) {
    if (value === null) {
      found.add(null);
      continue;
    }
    const [row] = await queryRows({ files: [], signal }, `SELECT TRY_CAST(${quoteLiteral(value)} AS ${column.type.sql})::VARCHAR AS t`);
    if (typeof row?.t !== 'string') {
      throw new PermanentError('InvalidPartitioning', `"${value}" cannot be a value of column "${column.name}" (${column.type.sql}).`);
    }
    found.add(row.t);
  }
  return found;
}

async function* byRange(
  files: readonly PlannedFile[],
  rows: number,
  column: Column,
  signal: AbortSignal,
): AsyncGenerator<PlannedPartition> {
  requireKind(column, WITH_TEXT, 'range');
  // Equal keys share a rank, so that a range never ends in the middle of them.
  const ranked = `SELECT v, f, r, CASE WHEN v IS NOT NULL THEN (rank() OVER (ORDER BY v NULLS LAST) - 1) // ${rows} END AS k FROM (${rowsOf(files, 'NULL', column.ref, 'true')})`;
  const select = { range: 'k', low: 'min(low) OVER (PARTITION BY k)', high: 'max(high) OVER (PARTITION BY k)' };
  // One behind: a range ends where the next begins; the first and the last are open, so that together they hold every key.
  let before: { low: string; high: string; files: FileBounds[]; isFirst: boolean } | null = null;
  let isFirst = true;
  const closed = (range: NonNullable<typeof before>, to: string | null) =>
    partition(
      range.low === range.high ? `${column.name}=${range.low}` : `${column.name}=${range.low}..${range.high}`,
      { kind: 'between', column: column.name, from: range.isFirst ? null : range.low, to },
      range.files,
    );
  for await (const { group, files: found } of groups(files, ranked, select, signal)) {
    const low = group.low === null ? null : valueText(column, group.low as string);
    if (before) yield closed(before, group.range === null ? null : low);
    before = null;
    if (group.range === null || low === null) yield valuePartition(column, null, found);
    else before = { low, high: valueText(column, group.high as string), files: found, isFirst };
    isFirst = false;
  }
  if (before) yield closed(before, null);
}

/** A value as PostgreSQL reads it. */
function valueText(column: Column, text: string): string {
  if (text.includes('\0')) {
    throw new PermanentError(
      'InvalidPartitioning',
      `Column "${column.name}" has values with a NUL byte, which PostgreSQL cannot hold. Partition by another column.`,
    );
  }
  return ['date', 'timestamp', 'timestamptz'].includes(column.type.kind) ? toPostgresTime(text) : text;
}
