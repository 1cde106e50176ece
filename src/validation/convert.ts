/** Values as received become the values that a row schema judges, strictly: nothing is guessed, nothing is rounded silently. */
import { ExactNumber, parseJsonExactly } from './exact-number.ts';
import { instantExists, instantText, isPlainDay, NO_SUCH_DATE, NOT_A_DATE, parseInstant, readInstant, toMilliseconds } from './instants.ts';
import type { ValueType } from './row-schema.ts';
import { readShortInteger, readShortNumber } from './short-numbers.ts';

/** What the values are before conversion: text (CSV, PostgreSQL's text format), JSON values, or JavaScript's own types. */
export type ValueOrigin = 'text' | 'json' | 'typed';

/** Why a value could not be converted. */
export class Refusal {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Gives the converted value, or the refusal; never called with null or undefined. */
export type Convert = (value: unknown) => unknown;

/** What was expected, in the words of every path. */
export const EXPECTED: Readonly<Record<ValueType, string>> = {
  string: 'expected a string',
  int: 'expected an integer',
  number: 'expected a number',
  bigint: 'expected an integer',
  boolean: 'expected true or false',
  date: NOT_A_DATE,
  isoDate: NOT_A_DATE,
  isoDatetime: NOT_A_DATE,
  json: 'expected JSON',
};
export const UNSAFE_INTEGER = 'outside the range of a safe integer';
export const OUTSIDE_DOUBLE = 'outside the range of a number';

const refuse = Object.fromEntries(Object.entries(EXPECTED).map(([type, reason]) => [type, new Refusal(reason)])) as Record<
  ValueType,
  Refusal
>;
const UNSAFE = new Refusal(UNSAFE_INTEGER);
const INFINITE = new Refusal(OUTSIDE_DOUBLE);
const NO_DATE = new Refusal(NO_SUCH_DATE);
const NOT_JSON = new Refusal('not valid JSON');
const TIME_OF_DAY = new Refusal('has a time of day');

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 't', '1', 'yes'].map((text) => [text, true] as const),
  ...['false', 'f', '0', 'no'].map((text) => [text, false] as const),
]);

const text: Readonly<Record<ValueType, Convert>> = {
  string: (value) => (typeof value === 'string' ? value : refuse.string),
  int: (value) => {
    if (typeof value !== 'string') return refuse.int;
    const short = readShortInteger(value);
    if (!Number.isNaN(short)) return short;
    if (!INTEGER.test(value)) return refuse.int;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : UNSAFE;
  },
  number: (value) => {
    if (typeof value !== 'string') return refuse.number;
    const short = readShortNumber(value);
    if (!Number.isNaN(short)) return short;
    if (!NUMBER.test(value)) return refuse.number;
    const number = Number(value);
    return Number.isFinite(number) ? number : INFINITE;
  },
  bigint: (value) => {
    if (typeof value !== 'string' || !INTEGER.test(value)) return refuse.bigint;
    return BigInt(value.charCodeAt(0) === 43 ? value.slice(1) : value);
  },
  boolean: (value) => {
    if (typeof value !== 'string') return refuse.boolean;
    return BOOLEANS.get(value) ?? BOOLEANS.get(value.toLowerCase()) ?? refuse.boolean;
  },
  date: (value) => (typeof value === 'string' ? instant(value) : refuse.date),
  isoDate: (value) => (typeof value === 'string' ? isoDay(value) : refuse.isoDate),
  isoDatetime: (value) => (typeof value === 'string' ? isoInstant(value) : refuse.isoDatetime),
  json: (value) => {
    if (typeof value !== 'string') return refuse.json;
    try {
      return parseJsonExactly(value);
    } catch {
      return NOT_JSON;
    }
  },
};

const json: Readonly<Record<ValueType, Convert>> = {
  string: text.string,
  int: toInt,
  number: toNumber,
  bigint: (value) => (typeof value === 'string' ? text.bigint(value) : toBigint(value)),
  boolean: (value) => (typeof value === 'boolean' ? value : refuse.boolean),
  date: text.date,
  isoDate: text.isoDate,
  isoDatetime: text.isoDatetime,
  json: (value) => value,
};

const typed: Readonly<Record<ValueType, Convert>> = {
  ...json,
  date: (value) => (value instanceof Date ? validDate(value) : text.date(value)),
  isoDate: (value) => {
    if (!(value instanceof Date)) return text.isoDate(value);
    if (Number.isNaN(value.getTime())) return NO_DATE;
    return value.getTime() % 86_400_000 === 0 ? value.toISOString().slice(0, -14) : TIME_OF_DAY;
  },
  isoDatetime: (value) => {
    if (!(value instanceof Date)) return text.isoDatetime(value);
    return Number.isNaN(value.getTime()) ? NO_DATE : instantText(value);
  },
};

const CONVERSIONS: Readonly<Record<ValueOrigin, Readonly<Record<ValueType, Convert>>>> = { text, json, typed };

/** The conversion of one column's values. */
export function conversion(from: ValueOrigin, type: ValueType): Convert {
  return CONVERSIONS[from][type];
}

function toInt(value: unknown): unknown {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value;
    return Number.isInteger(value) ? UNSAFE : refuse.int;
  }
  if (typeof value === 'bigint') return safeNumber(value);
  if (value instanceof ExactNumber) return refuseExact(value);
  return refuse.int;
}

/** A number with more digits than a double has is no safe integer, whatever a double would make of it. */
function refuseExact(value: ExactNumber): Refusal {
  const number = Number(value.text);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? UNSAFE : Number.isFinite(number) ? refuse.int : UNSAFE;
}

function toNumber(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : refuse.number;
  if (typeof value === 'bigint') return safeNumber(value);
  if (value instanceof ExactNumber) {
    const number = Number(value.text);
    return Number.isFinite(number) ? number : INFINITE;
  }
  return refuse.number;
}

function toBigint(value: unknown): unknown {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value);
    return Number.isInteger(value) ? UNSAFE : refuse.bigint;
  }
  return refuse.bigint;
}

function safeNumber(value: bigint): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : UNSAFE;
}

function validDate(value: Date): unknown {
  return Number.isNaN(value.getTime()) ? NO_DATE : value;
}

function instant(value: string): unknown {
  const parsed = parseInstant(value);
  return typeof parsed === 'string' ? (parsed === NO_SUCH_DATE ? NO_DATE : refuse.date) : parsed;
}

function isoDay(value: string): unknown {
  if (isPlainDay(value)) return value;
  const parts = readInstant(value);
  if (!parts) return refuse.isoDate;
  if (!instantExists(parts)) return NO_DATE;
  return parts.hasTime ? TIME_OF_DAY : value;
}

/** PostgreSQL's way of writing (`2001-02-03 04:05:06+01`) becomes the ISO one in UTC; the schema judges all others as they are. */
function isoInstant(value: string): unknown {
  const parts = readInstant(value);
  if (!parts) return refuse.isoDatetime;
  if (!instantExists(parts)) return NO_DATE;
  if (value.charCodeAt(10) !== 32) return value;
  const utc = new Date(toMilliseconds({ ...parts, fraction: '' })).toISOString().slice(0, -5);
  return `${utc}${parts.fraction ? `.${parts.fraction}` : ''}Z`;
}
