/** What is made of the rows of one kind of file: the text of the good ones, and the faults that make a row bad. */
import { NeedsRecords } from '../needs-records.ts';
import type { TransferRequest } from '../source.ts';
import { columnFaults, type Fault } from './checks-sql.ts';
import { type Columns, columnRef } from './file-info.ts';
import { NULL_BINARY, type StagingBinary, stagingBinary } from './staging-binary.ts';
import { stagingText } from './staging-text.ts';

export interface RowSql {
  /** The columns in the order of the request, as text that PostgreSQL takes. */
  readonly values: readonly string[];
  /** The same for the binary format; null where that is not known for all of them. */
  readonly binary: readonly StagingBinary[] | null;
  /** In the order in which the row parser finds them: the schema's, then what staging cannot hold. */
  readonly faults: readonly Fault[];
}

/**
 * @returns why not, where the row schema cannot be judged in SQL, or staging might not get exactly what the source has
 */
export function rowSql(request: TransferRequest, columns: Columns): RowSql | NeedsRecords {
  const faults: Fault[] = [];
  for (const column of request.schema) {
    // What the plan did not find in the source by this very name is missing.
    const isRead = request.columns.some(({ name }) => name === column.name);
    const found = columnFaults(column, isRead ? columnRef(columns, column.name) : null);
    if (found instanceof NeedsRecords) return found;
    faults.push(...found);
  }
  const values: string[] = [];
  const binary: (StagingBinary | null)[] = [];
  for (const { name, sqlType } of request.columns) {
    const column = columnRef(columns, name);
    if (!column) {
      values.push('NULL');
      binary.push(NULL_BINARY);
      continue;
    }
    const wanted = request.schema.find((each) => each.name === name)?.type;
    const text = stagingText(name, column.type, column.ref, sqlType, wanted === 'int');
    if (!text) return new NeedsRecords(`column "${name}": ${column.type.sql} goes into ${sqlType} row by row only`);
    values.push(text.sql);
    binary.push(stagingBinary(column.type, column.ref, sqlType));
    faults.push(...text.faults);
  }
  return { values, binary: binary.every((each) => each !== null) ? binary : null, faults };
}

/** Condition of a good row. Every fault counts as false where it is NULL, so that good and bad are exact opposites. */
export const goodSql = (faults: readonly Fault[]): string => faults.map(({ when }) => `((${when}) IS NOT TRUE)`).join(' AND ') || 'true';

/** Number of a row's first fault; NULL for a good row. */
export const faultSql = (faults: readonly Fault[]): string =>
  faults.length === 0 ? 'NULL' : `CASE ${faults.map(({ when }, index) => `WHEN ${when} THEN ${index}`).join(' ')} END`;
