/**
 * Values of PostgreSQL's binary format as the text that the server itself would write (ISO dates, UTC).
 * The formats: the `*send` functions in https://git.postgresql.org/gitweb/?p=postgresql.git;a=tree;f=src/backend/utils/adt
 */
import { baseType, type PostgresType } from './types.ts';

/** Reads the value at `bytes[start, end)`. */
export type TextDecoder = (bytes: Buffer, start: number, end: number) => string;

const utf8: TextDecoder = (bytes, start, end) => bytes.toString('utf8', start, end);
const integer64: TextDecoder = (bytes, start) => bytes.readBigInt64BE(start).toString();
const unsigned32: TextDecoder = (bytes, start) => bytes.readUInt32BE(start).toString();

const DECODERS: Readonly<Record<string, TextDecoder>> = {
  bool: (bytes, start) => (bytes[start] === 1 ? 't' : 'f'),
  int2: (bytes, start) => bytes.readInt16BE(start).toString(),
  int4: (bytes, start) => bytes.readInt32BE(start).toString(),
  int8: integer64,
  oid: unsigned32,
  xid: unsigned32,
  float4: (bytes, start) => floatText(shortestFloat4(bytes.readFloatBE(start)), 6),
  float8: (bytes, start) => floatText(bytes.readDoubleBE(start), 15),
  numeric: numericText,
  text: utf8,
  varchar: utf8,
  bpchar: utf8,
  name: utf8,
  json: utf8,
  xml: utf8,
  jsonb: (bytes, start, end) => bytes.toString('utf8', start + 1, end),
  bytea: (bytes, start, end) => `\\x${bytes.toString('hex', start, end)}`,
  uuid: (bytes, start, end) => bytes.toString('hex', start, end).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  date: (bytes, start) => dateText(bytes.readInt32BE(start)),
  time: (bytes, start) => timeText(bytes.readBigInt64BE(start)),
  timestamp: (bytes, start) => timestampText(bytes.readBigInt64BE(start), ''),
  timestamptz: (bytes, start) => timestampText(bytes.readBigInt64BE(start), '+00'),
  interval: intervalText,
};

/** The decoder of a type; null where there is none. */
export function decoderOf(type: PostgresType): TextDecoder | null {
  const base = baseType(type);
  if (base.kind === 'e') return utf8;
  if (base.kind !== 'b') return null;
  if (base.isArray && base.inner && /^_/.test(base.name)) {
    const element = decoderOf(base.inner);
    return element ? (bytes, start) => arrayText(bytes, start, element) : null;
  }
  return Object.hasOwn(DECODERS, base.name) ? (DECODERS[base.name] ?? null) : null;
}

/** The decoder of a built-in type by its internal name. */
export function decoderNamed(name: string): TextDecoder | null {
  return DECODERS[name] ?? null;
}

/** The shortest decimal number that is this float4, as a double. */
function shortestFloat4(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 6; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** @param digits from this power of ten on the server writes an exponent */
function floatText(value: number, digits: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= digits) {
    const size = Math.abs(exponent).toString().padStart(2, '0');
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  const sign = mantissa.startsWith('-') ? '-' : '';
  const all = mantissa.replace(/[-.]/g, '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${all}`;
  if (all.length <= exponent + 1) return sign + all.padEnd(exponent + 1, '0');
  return `${sign}${all.slice(0, exponent + 1)}.${all.slice(exponent + 1)}`;
}

function numericText(bytes: Buffer, start: number): string {
  const count = bytes.readUInt16BE(start);
  const weight = bytes.readInt16BE(start + 2);
  const sign = bytes.readUInt16BE(start + 4);
  const scale = bytes.readUInt16BE(start + 6);
  if (sign === 0xc000) return 'NaN';
  if (sign === 0xd000) return 'Infinity';
  if (sign === 0xf000) return '-Infinity';
  const digit = (index: number) => (index >= 0 && index < count ? bytes.readUInt16BE(start + 8 + index * 2) : 0);
  let text = sign === 0x4000 ? '-' : '';
  text += weight < 0 ? '0' : digit(0).toString();
  for (let index = 1; index <= weight; index++) text += digit(index).toString().padStart(4, '0');
  if (scale > 0) {
    let fraction = '';
    for (let index = weight + 1; fraction.length < scale; index++) fraction += digit(index).toString().padStart(4, '0');
    text += `.${fraction.slice(0, scale)}`;
  }
  return text;
}

/** Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
export const EPOCH_DAYS = 10_957;
/** 0001-01-01 and 9999-12-31, in days from PostgreSQL's epoch: those that the row parser reads. */
export const FIRST_DAY = -719_162 - EPOCH_DAYS;
export const LAST_DAY = 2_932_896 - EPOCH_DAYS;
const MICROSECONDS_A_DAY = 86_400_000_000n;

function dateText(days: number): string {
  if (days === 0x7fffffff) return 'infinity';
  if (days === -0x80000000) return '-infinity';
  const { day, era } = calendarDay(days);
  return day + era;
}

function timestampText(microseconds: bigint, zone: string): string {
  if (microseconds === 0x7fffffffffffffffn) return 'infinity';
  if (microseconds === -0x8000000000000000n) return '-infinity';
  let days = microseconds / MICROSECONDS_A_DAY;
  let rest = microseconds % MICROSECONDS_A_DAY;
  if (rest < 0n) {
    days -= 1n;
    rest += MICROSECONDS_A_DAY;
  }
  const { day, era } = calendarDay(Number(days));
  return `${day} ${timeText(rest)}${zone}${era}`;
}

function timeText(microseconds: bigint): string {
  const seconds = Number(microseconds / 1_000_000n);
  const fraction = Number(microseconds % 1_000_000n);
  return clockText(Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60, fraction);
}

function clockText(hours: number, minutes: number, seconds: number, fraction: number): string {
  const [h, m, s] = [hours, minutes, seconds].map((part) => part.toString().padStart(2, '0'));
  return `${h}:${m}:${s}${fraction > 0 ? `.${fraction.toString().padStart(6, '0').replace(/0+$/, '')}` : ''}`;
}

/** Howard Hinnant's `civil_from_days`, for all years of the proleptic Gregorian calendar. */
function calendarDay(days: number): { day: string; era: string } {
  const shifted = days + EPOCH_DAYS + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const shown = (year > 0 ? year : 1 - year).toString().padStart(4, '0');
  return { day: `${shown}-${month.toString().padStart(2, '0')}-${day.toString().padStart(2, '0')}`, era: year > 0 ? '' : ' BC' };
}

/** In the style `postgres`: `1 year 2 mons -3 days +04:05:06.7`. */
function intervalText(bytes: Buffer, start: number): string {
  const microseconds = bytes.readBigInt64BE(start);
  const days = bytes.readInt32BE(start + 8);
  const allMonths = bytes.readInt32BE(start + 12);
  if (allMonths === 0x7fffffff && days === 0x7fffffff) return 'infinity';
  if (allMonths === -0x80000000 && days === -0x80000000) return '-infinity';
  const parts: string[] = [];
  let wasNegative = false;
  const add = (value: number, unit: string) => {
    if (value === 0) return;
    parts.push(`${wasNegative && value > 0 ? '+' : ''}${value} ${unit}${value === 1 ? '' : 's'}`);
    wasNegative = value < 0;
  };
  add(Math.trunc(allMonths / 12), 'year');
  add(allMonths % 12, 'mon');
  add(days, 'day');
  if (microseconds !== 0n || parts.length === 0) {
    const size = microseconds < 0n ? -microseconds : microseconds;
    const sign = microseconds < 0n ? '-' : wasNegative ? '+' : '';
    const seconds = size / 1_000_000n;
    parts.push(sign + clockText(Number(seconds / 3600n), Number((seconds / 60n) % 60n), Number(seconds % 60n), Number(size % 1_000_000n)));
  }
  return parts.join(' ');
}

function arrayText(bytes: Buffer, start: number, element: TextDecoder): string {
  const dimensions = bytes.readInt32BE(start);
  if (dimensions === 0) return '{}';
  const sizes: number[] = [];
  let bounds = '';
  let shifted = false;
  for (let index = 0; index < dimensions; index++) {
    const size = bytes.readInt32BE(start + 12 + index * 8);
    const lower = bytes.readInt32BE(start + 16 + index * 8);
    sizes.push(size);
    shifted ||= lower !== 1;
    bounds += `[${lower}:${lower + size - 1}]`;
  }
  let at = start + 12 + dimensions * 8;
  const level = (depth: number): string => {
    const parts: string[] = [];
    for (let index = 0; index < (sizes[depth] ?? 0); index++) {
      if (depth < dimensions - 1) {
        parts.push(level(depth + 1));
        continue;
      }
      const length = bytes.readInt32BE(at);
      at += 4;
      if (length < 0) parts.push('NULL');
      else {
        parts.push(quoteElement(element(bytes, at, at + length)));
        at += length;
      }
    }
    return `{${parts.join(',')}}`;
  };
  const text = level(0);
  return shifted ? `${bounds}=${text}` : text;
}

function quoteElement(text: string): string {
  if (text !== '' && !/^null$/i.test(text) && !/["\\{},\s]/.test(text)) return text;
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
