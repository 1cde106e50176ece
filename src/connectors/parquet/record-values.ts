/** Values of DuckDB as JavaScript has them, and rows as JSON. */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { ExactNumber, parseJsonExactly, stringifyJsonExactly } from '../../validation/exact-number.ts';
import { CalendarDay, instantAt } from '../../validation/instants.ts';
import type { ColumnType } from '../../validation/row-schema.ts';
import type { DuckType } from './types.ts';

const MS_PER_DAY = 86_400_000;

/** Gives a column's values to JavaScript. */
export type Convert = (value: DuckDBValue) => unknown;

/**
 * How a column's values are given: whole numbers of 64 bits and more as bigint, instants and days as Date (one that remembers its
 * microseconds, or that it is a day), bytes as Buffer, lists as arrays, structs and maps as objects; infinite and distant dates, and decimals, as text.
 * Where the schema wants a number of a decimal, it gets one.
 */
export function converter(type: DuckType, wanted: ColumnType['type'] | undefined): Convert {
  if (type.sql === 'JSON') return (value) => (typeof value === 'string' ? parseJsonExactly(value) : value);
  if (type.kind === 'decimal' && wanted === 'number') return (value) => (value === null ? null : new ExactNumber(String(value)));
  if (type.kind === 'decimal' && (wanted === 'int' || wanted === 'bigint')) {
    return (value) => (value === null ? null : wholeNumber(String(value)));
  }
  return (value) => convert(value, false);
}

/** An integer, whatever zeros are behind the point; else the number as it is, which is none. */
function wholeNumber(text: string): bigint | ExactNumber {
  return /^-?\d+(\.0*)?$/.test(text) ? BigInt(text.replace(/\..*/, '')) : new ExactNumber(text);
}

function convert(value: DuckDBValue, nested: boolean): unknown {
  if (typeof value === 'bigint') return nested && isSafe(value) ? Number(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return instant(value.micros, value);
  if (value instanceof DuckDBDateValue) return value.isFinite ? day(value) : infinity(value.days > 0);
  if (value instanceof DuckDBTimestampMillisecondsValue) return instant(value.millis * 1000n, value);
  if (value instanceof DuckDBTimestampSecondsValue) return instant(value.seconds * 1_000_000n, value);
  if (value instanceof DuckDBTimestampNanosecondsValue) return instant(value.nanos / 1000n, value);
  // The bytes belong to DuckDB's chunk, which is used again.
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes);
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map((item) => convert(item, true));
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([name, entry]) => [name, convert(entry, true)]));
  }
  if (value instanceof DuckDBMapValue)
    return Object.fromEntries(value.entries.map((entry) => [String(entry.key), convert(entry.value, true)]));
  if (value instanceof DuckDBUnionValue) return convert(value.value, true);
  return String(value);
}

const isSafe = (value: bigint): boolean => value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
const infinity = (positive: boolean): string => (positive ? 'infinity' : '-infinity');

function instant(micros: bigint, value: DuckDBValue & { readonly isFinite: boolean }): Date | string {
  if (!value.isFinite) return infinity(micros > 0n);
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = instantAt(Number((micros - (fraction % 1000n)) / 1000n), String(fraction).padStart(6, '0'));
  return Number.isNaN(date.getTime()) ? String(value) : date;
}

function day(value: DuckDBDateValue): Date | string {
  const date = new CalendarDay(value.days * MS_PER_DAY);
  return Number.isNaN(date.getTime()) ? String(value) : date;
}

/** A row as JSON, for quarantine. Numbers keep all of their digits, days are written as days, instants in UTC. */
export function recordJson(values: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(stringifyJsonExactly(values) ?? '{}');
}
