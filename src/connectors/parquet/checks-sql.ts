/** The row schema's checks as conditions of DuckDB, with the verdict that zod gives on the same value. */
import { EXPECTED, UNSAFE_INTEGER } from '../../validation/convert.ts';
import { portablePattern } from '../../validation/portable-pattern.ts';
import { MISSING, NULL_NOT_ALLOWED, reasonOfCheck } from '../../validation/reasons.ts';
import type { ColumnCheck, ColumnType } from '../../validation/row-schema.ts';
import { NeedsRecords } from '../needs-records.ts';
import { quoteLiteral } from './sql.ts';
import type { DuckType } from './types.ts';

/** A way to be wrong. */
export interface Fault {
  readonly column: string;
  /** True for the rows that are wrong; NULL counts as false. Never fails. */
  readonly when: string;
  /** Short, and the same for all rows, so that rows can be grouped by it. */
  readonly reason: string;
}

const SAFE = Number.MAX_SAFE_INTEGER;
/** Microseconds either side of 1970 that a JavaScript Date can hold. */
const DATE_RANGE_US = 8_640_000_000_000_000_000n;

/**
 * The faults of a column in the order of the row parser's checks, or why its values are judged row by row.
 * @param ref the column as an expression of SQL; null where the file lacks the column
 */
export function columnFaults(column: ColumnType, found: { readonly ref: string; readonly type: DuckType } | null): Fault[] | NeedsRecords {
  const needed = (because: string) => new NeedsRecords(`column "${column.name}": ${because}`);
  if (column.uncompiled !== null) return needed(column.uncompiled);
  const fault = ([when, reason]: Condition): Fault => ({ column: column.name, when, reason });
  if (!found) return column.optional ? [] : [fault(['true', MISSING])];
  const { ref, type } = found;
  const conditions: Condition[] = column.nullable || column.optional ? [] : [[`${ref} IS NULL`, NULL_NOT_ALLOWED]];
  const ofType = typeFaults(column.type, type, ref);
  if (!ofType) return needed(`${type.sql} as ${column.type} is checked in records only`);
  conditions.push(...ofType);
  for (const check of column.checks) {
    const when = failsCheck(check, column, type, ref);
    if (when === null) return needed(`"${reasonOfCheck(check)}" is checked in records only`);
    conditions.push([when, reasonOfCheck(check)]);
  }
  return conditions.map(fault);
}

type Condition = readonly [when: string, reason: string];

/** What of a value of this type the schema's type refuses. Types that are not named here are judged row by row. */
function typeFaults(wanted: ColumnType['type'], type: DuckType, ref: string): Condition[] | null {
  const isFloat = type.kind === 'float' || type.kind === 'double';
  const isInstant = type.kind === 'timestamp' || type.kind === 'timestamptz' || type.kind === 'date';
  const unsafe: Condition[] = fitsSafely(type) ? [] : [[`${ref} > ${SAFE} OR ${ref} < ${-SAFE}`, UNSAFE_INTEGER]];
  switch (wanted) {
    case 'string':
      return type.kind === 'text' || type.kind === 'uuid' || type.kind === 'decimal' ? [] : null;
    case 'int':
      if (isFloat) return [[`NOT isfinite(${ref}) OR ${ref} != trunc(${ref})`, EXPECTED.int], ...unsafe];
      return type.kind === 'integer' ? unsafe : null;
    case 'number':
      if (isFloat) return [[`NOT isfinite(${ref})`, EXPECTED.number]];
      if (type.kind === 'decimal') return [];
      return type.kind === 'integer' ? unsafe : null;
    case 'bigint':
      return type.kind === 'integer' ? [] : null;
    case 'boolean':
      return type.kind === 'boolean' ? [] : null;
    case 'date': {
      const outside = `${microseconds(type, ref)} NOT BETWEEN ${-DATE_RANGE_US} AND ${DATE_RANGE_US + 999n}`;
      return isInstant ? [[`coalesce(${outside}, ${ref} IS NOT NULL)`, EXPECTED.date]] : null;
    }
    case 'isoDate':
      return type.kind === 'date' ? [[`${ref} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'`, EXPECTED.isoDate]] : null;
    default:
      return null;
  }
}

const fitsSafely = (type: DuckType): boolean =>
  type.max !== undefined && type.min !== undefined && type.max <= BigInt(SAFE) && type.min >= -BigInt(SAFE);

/** Condition of failing a check, for a value that is of the column's type; null where SQL could say otherwise than JavaScript. */
function failsCheck(check: ColumnCheck, column: ColumnType, type: DuckType, ref: string): string | null {
  const isNumber = column.type === 'int' || column.type === 'number' || column.type === 'bigint';
  const isString = column.type === 'string';
  const length = `length(${ref}::VARCHAR)`;
  switch (check.kind) {
    case 'min':
    case 'max': {
      const bound = isNumber ? numberLiteral(check.value) : null;
      if (bound === null) return null;
      const operator = check.kind === 'min' ? (check.inclusive ? '<' : '<=') : check.inclusive ? '>' : '>=';
      return `${asNumber(column, type, ref)} ${operator} ${bound}`;
    }
    case 'multipleOf': {
      if (!isNumber || Number(check.value) === 0) return null;
      if (column.type === 'bigint') return typeof check.value === 'bigint' ? `${ref} % (${check.value}) != 0` : null;
      // The same arithmetic as the row parser's, which is zod's: decimal multiples are not exact in doubles.
      const ratio = `(${asNumber(column, type, ref)} / CAST('${Number(check.value)}' AS DOUBLE))`;
      return `NOT (abs(${ratio} - round(${ratio})) < ${4 * Number.EPSILON} * greatest(abs(${ratio}), 1))`;
    }
    // Lengths are code points in zod 4.6, in DuckDB and in PostgreSQL.
    case 'minLength':
      return isString ? `${length} < ${check.value}` : null;
    case 'maxLength':
      return isString ? `${length} > ${check.value}` : null;
    case 'length':
      return isString ? `${length} != ${check.value}` : null;
    case 'startsWith':
    case 'endsWith':
    case 'includes':
      return isString && isWellFormed(check.value) ? `NOT ${SUBSTRING[check.kind]}(${ref}::VARCHAR, ${quoteLiteral(check.value)})` : null;
    case 'format': {
      const pattern = isString && check.pattern ? portablePattern(check.pattern) : null;
      return pattern === null ? null : `NOT regexp_full_match(${ref}::VARCHAR, ${quoteLiteral(pattern)})`;
    }
    case 'oneOf':
      return isNotOneOf(check.values, column, type, ref);
    case 'minDate':
    case 'maxDate':
      return isBeyondDate(check.kind, check.value, column, type, ref);
  }
}

const SUBSTRING = { startsWith: 'starts_with', endsWith: 'ends_with', includes: 'contains' } as const;

/** Half of a surrogate pair, and NUL, are in no text of DuckDB's SQL. */
const isWellFormed = (text: string): boolean => !/[\p{Surrogate}\0]/u.test(text);

/** A number as JavaScript compares it: a double, or exact for bigint. */
function asNumber(column: ColumnType, type: DuckType, ref: string): string {
  if (column.type === 'bigint' || type.kind === 'double') return ref;
  // By way of its text: a decimal is otherwise divided by its power of ten, which may be one bit off.
  return type.kind === 'decimal' ? `${ref}::VARCHAR::DOUBLE` : `${ref}::DOUBLE`;
}

function numberLiteral(value: number | bigint): string | null {
  if (typeof value === 'bigint') return value > -(2n ** 127n) && value < 2n ** 127n ? `(${value})` : null;
  return Number.isNaN(value) ? null : `CAST('${value}' AS DOUBLE)`;
}

function isNotOneOf(values: readonly (string | number | boolean | null)[], column: ColumnType, type: DuckType, ref: string): string | null {
  const wanted = column.type === 'string' || column.type === 'boolean' ? column.type : 'number';
  if (column.type === 'bigint' || values.some((value) => typeof value !== wanted)) return null;
  if (values.length === 0) return `${ref} IS NOT NULL`;
  if (wanted === 'string') return `${ref}::VARCHAR NOT IN (${values.map((value) => quoteLiteral(String(value))).join(', ')})`;
  if (wanted === 'boolean') return `${ref} NOT IN (${values.join(', ')})`;
  return `${asNumber(column, type, ref)} NOT IN (${values.map((value) => `CAST('${value}' AS DOUBLE)`).join(', ')})`;
}

/** A Date has milliseconds; what is finer does not count. */
function isBeyondDate(kind: 'minDate' | 'maxDate', value: Date, column: ColumnType, type: DuckType, ref: string): string | null {
  if (column.type !== 'date' || Number.isNaN(value.getTime())) return null;
  const bound = BigInt(value.getTime());
  const us = microseconds(type, ref);
  return kind === 'minDate' ? `${us} < ${bound * 1000n}` : `${us} >= ${(bound + 1n) * 1000n}`;
}

/** Microseconds since 1970; NULL for infinity and for days that no timestamp can hold. */
function microseconds(type: DuckType, ref: string): string {
  return type.kind === 'timestamptz' || type.sql === 'TIMESTAMP' ? `epoch_us(${ref})` : `epoch_us(TRY_CAST(${ref} AS TIMESTAMP))`;
}
