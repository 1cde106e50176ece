/**
 * Checks of a row schema as conditions on the bytes of binary COPY, in JavaScript's text, for the code that is made for a row's columns.
 * Each is true only for values that pass. For the others, which may pass as well, the column's look has the verdict.
 */
import type { ColumnCheck, ColumnType } from '../../validation/row-schema.ts';
import { EPOCH_DAYS, FIRST_DAY, LAST_DAY } from './binary-values.ts';
import { shortNumeric } from './short-numeric.ts';
import { TextSet } from './text-set.ts';

export interface Condition {
  /** An expression. It may refer to `view`, `bytes`, `start`, `size` and the name given for `own`, and assign to `value` and `high`. */
  readonly text: (own: string) => string;
  /** Null where the expression needs nothing else. */
  readonly own: unknown;
}

const plain = (text: string): Condition => ({ text: () => text, own: null });

const MICROSECONDS_A_DAY = 86_400_000_000;

/**
 * @param type internal name of the type that the bytes have; `text` for enums
 * @returns null where there is none for these checks
 */
export function conditionOf(type: string, column: ColumnType): Condition | null {
  switch (column.type) {
    case 'string':
      return TEXTUAL.has(type) ? (lengthCondition(column.checks) ?? memberCondition(column.checks)) : null;
    case 'int':
    case 'number':
    case 'bigint':
      return numberCondition(type, column);
    case 'date':
      return dateCondition(type, column.checks);
    default:
      return null;
  }
}

/** Types whose binary format is their text. */
export const TEXTUAL: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name']);

/** A code point has one to four bytes. */
function lengthCondition(checks: readonly ColumnCheck[]): Condition | null {
  let shortest = 0;
  let longest = Number.POSITIVE_INFINITY;
  for (const check of checks) {
    if (check.kind !== 'minLength' && check.kind !== 'maxLength' && check.kind !== 'length') return null;
    if (check.kind !== 'maxLength') shortest = Math.max(shortest, check.value);
    if (check.kind !== 'minLength') longest = Math.min(longest, check.value);
  }
  return plain(`size > ${(shortest - 1) * 4} && size <= ${longest}`);
}

function memberCondition(checks: readonly ColumnCheck[]): Condition | null {
  const [only] = checks;
  if (only?.kind !== 'oneOf' || checks.length > 1) return null;
  const texts = new TextSet(only.values.filter((value) => typeof value === 'string'));
  return { text: (own) => `${own}.has(bytes, start, size)`, own: texts };
}

function numberCondition(type: string, column: ColumnType): Condition | null {
  const limits = limitsOf(column.checks);
  if (!limits) return null;
  const inLimits = `value >= ${limits.low} && value <= ${limits.high}`;
  switch (type) {
    case 'int2':
      return plain(`(value = view.getInt16(start), ${inLimits})`);
    case 'int4':
      return plain(`(value = view.getInt32(start), ${inLimits})`);
    case 'int8':
      return plain(`(${READ_SAFE_INTEGER}, value >= ${-Number.MAX_SAFE_INTEGER} && ${inLimits})`);
    case 'float8':
      return column.type === 'number' ? plain(`(value = view.getFloat64(start), ${inLimits})`) : null;
    case 'numeric':
      return column.type === 'number' ? { text: (own) => `(value = ${own}(view, start), ${inLimits})`, own: shortNumeric } : null;
    default:
      return null;
  }
}

/** NaN outside of 53 bits, within which both halves add up exactly. */
const READ_SAFE_INTEGER =
  'high = view.getInt32(start), value = high >= -0x200000 && high < 0x200000 ? high * 0x100000000 + view.getUint32(start + 4) : NaN';

interface Limits {
  readonly low: number;
  readonly high: number;
}

/** The least and the greatest number that pass; null where there is more to check. Integers stay within what a double holds exactly. */
function limitsOf(checks: readonly ColumnCheck[]): Limits | null {
  let low = -Number.MAX_VALUE;
  let high = Number.MAX_VALUE;
  for (const check of checks) {
    if (check.kind !== 'min' && check.kind !== 'max') return null;
    const limit = Number(check.value);
    if (typeof check.value === 'bigint' && !Number.isSafeInteger(limit)) return null;
    if (check.kind === 'min') low = Math.max(low, check.inclusive ? limit : nextAbove(limit));
    else high = Math.min(high, check.inclusive ? limit : -nextAbove(-limit));
  }
  return { low, high };
}

/** The next greater double. */
function nextAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n));
  return view.getFloat64(0);
}

/** Limits are of milliseconds since 1970; what is finer is cut off, towards the past. */
function dateCondition(type: string, checks: readonly ColumnCheck[]): Condition | null {
  let first = Number.NEGATIVE_INFINITY;
  let last = Number.POSITIVE_INFINITY;
  for (const check of checks) {
    if (check.kind === 'minDate') first = Math.max(first, check.value.getTime());
    else if (check.kind === 'maxDate') last = Math.min(last, check.value.getTime());
    else return null;
  }
  if (type === 'date') {
    const from = Math.max(FIRST_DAY, Math.ceil(first / 86_400_000) - EPOCH_DAYS);
    const to = Math.min(LAST_DAY, Math.floor(last / 86_400_000) - EPOCH_DAYS);
    return plain(`(value = view.getInt32(start), value >= ${from} && value <= ${to})`);
  }
  if (type !== 'timestamp' && type !== 'timestamptz') return null;
  // All instants within 53 bits are in the years that there are (from 1714 to 2285).
  const from = first * 1000 - EPOCH_DAYS * MICROSECONDS_A_DAY;
  const before = (last + 1) * 1000 - EPOCH_DAYS * MICROSECONDS_A_DAY;
  return plain(`(${READ_SAFE_INTEGER}, value >= ${from} && value < ${before})`);
}
