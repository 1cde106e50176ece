/** Real data with dirt spread through it, and what must become of every line. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentOf } from './checksum.ts';
import { query } from './servers.ts';

/** A line that must end in quarantine. */
export interface Dirt {
  readonly line: string | Buffer;
  readonly column: string | null;
  readonly reason: string;
}

export interface QuarantinedRow {
  readonly position: number;
  readonly column: string | null;
  readonly reason: string;
  /** The bytes as text that shows every byte. */
  readonly record: string;
}

export const dirt = (line: string | Buffer, column: string | null, reason: string): Dirt => ({ line, column, reason });

/** Bytes that are no text, in the middle of one. */
export const bytes = (...parts: (string | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))));

/** The rows of a CSV file of vega-datasets (those used here have no quotes in them), without the header. */
export function realRows(file: string): string[][] {
  const text = readFileSync(join(__dirname, '../../node_modules/vega-datasets/data', file), 'utf8');
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  return lines.slice(1).map((line) => line.split(','));
}

/** The columns of zipcodes.csv. */
export const ZIPCODES = ['zip_code', 'latitude', 'longitude', 'city', 'state', 'county'];

/** A row of zipcodes.csv by the names of its columns. */
export const zipcode = (row: readonly (string | null)[]) => Object.fromEntries(ZIPCODES.map((name, index) => [name, row[index]]));

/**
 * Writes the lines with the dirt spread evenly after the first of them.
 * @returns what the quarantine must hold, in the order of the file
 */
export async function writeDirtyFile(
  path: string,
  header: string | null,
  lines: readonly string[],
  dirty: readonly Dirt[],
  lineEnd = '\n',
): Promise<QuarantinedRow[]> {
  const expected: QuarantinedRow[] = [];
  const parts: Buffer[] = [];
  let offset = 0;
  const add = (line: string | Buffer) => {
    const part = Buffer.concat([Buffer.from(line), Buffer.from(lineEnd)]);
    parts.push(part);
    offset += part.length;
  };
  if (header !== null) add(header);
  let next = 0;
  for (const [index, line] of lines.entries()) {
    add(line);
    for (; next < dirty.length && index + 1 >= ((next + 1) * lines.length) / (dirty.length + 1); next += 1) {
      const { line: bad, column, reason } = dirty[next] as Dirt;
      expected.push({ position: offset, column, reason, record: shown(Buffer.from(bad)) });
      add(bad);
    }
  }
  await writeFile(path, Buffer.concat(parts));
  return expected;
}

/** All that is in quarantine, or what one run put there, in the order of the source. */
export async function quarantineOf(url: string, runKey: string): Promise<QuarantinedRow[]> {
  const rows = await query<{ position: string; column: string | null; reason: string; record: Buffer }>(
    url,
    `select position, "column", reason, record from sluice.quarantine where run_key = $1 order by partition, position, chunk, ordinal`,
    [runKey],
  );
  return rows.map((row) => ({ ...row, position: Number(row.position), record: shown(row.record) }));
}

/** The table holds exactly these rows. */
export async function expectRows(url: string, table: string, rows: readonly Record<string, unknown>[]): Promise<void> {
  await query(url, `drop table if exists expected`);
  await query(url, `create table expected (like ${table})`);
  await query(url, `insert into expected select * from json_populate_recordset(null::expected, $1)`, [JSON.stringify(rows)]);
  expect(await contentOf(url, table)).toEqual(await contentOf(url, 'expected'));
}

function shown(record: Buffer): string {
  return record.toString('latin1');
}
