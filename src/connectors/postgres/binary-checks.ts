/**
 * The row schema's checks on values of the binary COPY format. Only columns that need it are looked at, and the verdict is that of the row
 * parser on PostgreSQL's text of the value: the common types have a shorter way, all others are turned into that text.
 */
import { compileChecks, type Judge } from '../../validation/check.ts';
import { conversion, EXPECTED, Refusal, UNSAFE_INTEGER } from '../../validation/convert.ts';
import { NULL_NOT_ALLOWED, reasonOfCheck } from '../../validation/reasons.ts';
import type { ColumnType } from '../../validation/row-schema.ts';
import { NeedsRecords } from '../needs-records.ts';
import type { TransferRequest } from '../source.ts';
import { type Condition, conditionOf, TEXTUAL } from './binary-conditions.ts';
import { decoderNamed, decoderOf, EPOCH_DAYS, FIRST_DAY, LAST_DAY, type TextDecoder } from './binary-values.ts';
import { columnOf, type Relation } from './relation.ts';
import { bareType, baseType, binaryFit, type PostgresColumn } from './types.ts';

/** The reason for which the value at `bytes[start, end)` is refused, or null. */
export type Look = (bytes: Buffer, start: number, end: number) => string | null;

export interface ColumnLook {
  readonly name: string;
  /** Place among the columns of the bytes. */
  readonly index: number;
  readonly nullAllowed: boolean;
  /** Null where every value passes. */
  readonly look: Look | null;
  /** A shorter way to know that a value passes; the look is asked about all others. */
  readonly condition?: Condition | null;
}

export interface BinaryChecks {
  /** In the order of the row schema. */
  readonly looks: readonly ColumnLook[];
  /** For the record of a row that is refused: all columns of the bytes. */
  readonly columns: readonly { readonly name: string; readonly decode: TextDecoder }[];
}

/**
 * @returns null where nothing has to be looked at
 */
export function planBinaryChecks(relation: Relation, request: TransferRequest, where: string): BinaryChecks | NeedsRecords | null {
  const looks: ColumnLook[] = [];
  for (const column of request.schema) {
    const index = request.columns.findIndex((each) => each.name === column.name);
    const sent = request.columns[index];
    if (!sent) continue;
    if (column.uncompiled !== null) return new NeedsRecords(`column "${column.name}": ${column.uncompiled}`);
    const source = columnOf(relation, column.name, where);
    const type = sentType(source, sent.sqlType);
    const look = lookOf(type, column);
    if (look instanceof NeedsRecords) return look;
    const nullAllowed = column.nullable || column.optional || source.notNull;
    if (look || !nullAllowed) looks.push({ name: column.name, index, nullAllowed, look, condition: conditionOf(type.name, column) });
  }
  if (looks.length === 0) return null;
  const columns: { name: string; decode: TextDecoder }[] = [];
  for (const { name, sqlType } of request.columns) {
    const { decode, name: type } = sentType(columnOf(relation, name, where), sqlType);
    if (!decode) return new NeedsRecords(`column "${name}": rows with a value of type ${type} are shown as records only`);
    columns.push({ name, decode });
  }
  return { looks, columns };
}

interface SentType {
  /** Internal name: `int4`, `timestamptz`; `text` for enums. */
  readonly name: string;
  readonly isArray: boolean;
  readonly decode: TextDecoder | null;
}

const CAST_TYPES: Readonly<Record<string, string>> = { integer: 'int4', bigint: 'int8', numeric: 'numeric', 'double precision': 'float8' };

/** The type that the bytes have, after a cast in the source's query where there is one. */
function sentType(column: PostgresColumn, stagingType: string): SentType {
  if (binaryFit(column, stagingType) === 'cast') {
    const name = CAST_TYPES[bareType(stagingType)] ?? '';
    return { name, isArray: false, decode: decoderNamed(name) };
  }
  const base = baseType(column.type);
  return { name: base.kind === 'e' ? 'text' : base.name, isArray: base.isArray, decode: decoderOf(column.type) };
}

const LENGTHS = new Set(['minLength', 'maxLength', 'length']);

function lookOf(type: SentType, column: ColumnType): Look | NeedsRecords | null {
  const judge = compileChecks({ ...column, pattern: null, raw: false, catches: false });
  const { name } = type;
  switch (column.type) {
    case 'string':
      if (!judge) return null;
      if (TEXTUAL.has(name) && column.checks.every((check) => LENGTHS.has(check.kind))) return lookAtLengths(column);
      break;
    case 'int':
    case 'number':
      if (name === 'int2') return judge && ((bytes, start) => judge(bytes.readInt16BE(start)));
      if (name === 'int4') return judge && ((bytes, start) => judge(bytes.readInt32BE(start)));
      if (name === 'int8') return lookAtInt8(column.type === 'int', judge);
      if (name === 'float8' && column.type === 'number') return lookAtFloat8(judge);
      break;
    case 'bigint':
      if (name === 'int2' || name === 'int4' || name === 'int8') {
        if (!judge) return null;
        if (name === 'int8') return (bytes, start) => judge(bytes.readBigInt64BE(start));
      }
      break;
    case 'boolean':
      if (name === 'bool' && !judge) return null;
      break;
    case 'date':
      if (name === 'timestamptz' || name === 'timestamp') return lookAtTimestamp(judge);
      if (name === 'date') return lookAtDate(judge);
      break;
    case 'isoDate':
      if (name === 'date' && !judge) return lookAtDate(null);
      if (name !== 'date' && name !== 'timestamp' && name !== 'timestamptz') return unknown(type, column);
      break;
    case 'isoDatetime':
      if (name !== 'timestamp' && name !== 'timestamptz') return unknown(type, column);
      break;
    case 'json':
      // PostgreSQL's text of an array is no JSON; records have it as JSON.
      if (type.isArray) return unknown(type, column);
      if (name === 'json' || name === 'jsonb') {
        if (!judge && column.nullable) return null;
        if (!judge) return lookAtJson(name === 'jsonb' ? 1 : 0);
      }
      break;
  }
  return type.decode ? lookAtText(type.decode, column, judge) : unknown(type, column);
}

function unknown(type: SentType, column: ColumnType): NeedsRecords {
  return new NeedsRecords(`column "${column.name}": ${type.name} as ${column.type} is checked in records only`);
}

/** Any type: the row parser's own steps on the text of the value. */
function lookAtText(decode: TextDecoder, column: ColumnType, judge: Judge | null): Look {
  const convert = conversion('text', column.type);
  return (bytes, start, end) => {
    const value = convert(decode(bytes, start, end));
    if (value instanceof Refusal) return value.reason;
    if (value === null) return column.nullable ? null : NULL_NOT_ALLOWED;
    return judge ? judge(value) : null;
  };
}

function lookAtInt8(mustBeSafe: boolean, judge: Judge | null): Look | null {
  if (!mustBeSafe && !judge) return null;
  return (bytes, start) => {
    const high = bytes.readInt32BE(start);
    // Within 53 bits both halves add up exactly.
    const value =
      high >= -0x200000 && high < 0x200000 ? high * 0x100000000 + bytes.readUInt32BE(start + 4) : Number(bytes.readBigInt64BE(start));
    if (mustBeSafe && !Number.isSafeInteger(value)) return UNSAFE_INTEGER;
    return judge ? judge(value) : null;
  };
}

function lookAtFloat8(judge: Judge | null): Look {
  return (bytes, start) => {
    const value = bytes.readDoubleBE(start);
    if (!Number.isFinite(value)) return EXPECTED.number;
    return judge ? judge(value) : null;
  };
}

const FIRST_INSTANT = BigInt(FIRST_DAY) * 86_400_000_000n;
const INSTANT_AFTER_LAST = BigInt(LAST_DAY + 1) * 86_400_000_000n;

function lookAtDate(judge: Judge | null): Look {
  return (bytes, start) => {
    const days = bytes.readInt32BE(start);
    if (days < FIRST_DAY || days > LAST_DAY) return EXPECTED.date;
    return judge ? judge(new Date((days + EPOCH_DAYS) * 86_400_000)) : null;
  };
}

function lookAtTimestamp(judge: Judge | null): Look {
  return (bytes, start) => {
    const high = bytes.readInt32BE(start);
    let milliseconds: number;
    if (high >= -0x200000 && high < 0x200000) {
      milliseconds = Math.floor((high * 0x100000000 + bytes.readUInt32BE(start + 4)) / 1000);
    } else {
      const exact = bytes.readBigInt64BE(start);
      if (exact < FIRST_INSTANT || exact >= INSTANT_AFTER_LAST) return EXPECTED.date;
      milliseconds = Number((exact - FIRST_INSTANT) / 1000n) + FIRST_DAY * 86_400_000;
    }
    return judge ? judge(new Date(milliseconds + EPOCH_DAYS * 86_400_000)) : null;
  };
}

/** The JSON value null, which is not allowed. */
function lookAtJson(skip: number): Look {
  return (bytes, start, end) => {
    // Longer than the word with some white space: it is something else.
    if (end - start - skip < 4) return null;
    let at = start + skip;
    while (at < end && (bytes[at] as number) <= 0x20) at++;
    if (bytes[at] !== 0x6e) return null;
    return bytes.toString('utf8', at, end).trim() === 'null' ? NULL_NOT_ALLOWED : null;
  };
}

/** Counts the code points of UTF-8 without making a string. */
function lookAtLengths(column: ColumnType): Look {
  const judges = column.checks.flatMap((check) => {
    const reason = reasonOfCheck(check);
    if (check.kind === 'minLength') return [{ shortest: check.value, longest: Number.POSITIVE_INFINITY, reason }];
    if (check.kind === 'maxLength') return [{ shortest: 0, longest: check.value, reason }];
    return check.kind === 'length' ? [{ shortest: check.value, longest: check.value, reason }] : [];
  });
  return (bytes, start, end) => {
    let length = end - start;
    for (let at = start; at < end; at++) if (((bytes[at] as number) & 0xc0) === 0x80) length--;
    for (const { shortest, longest, reason } of judges) if (length < shortest || length > longest) return reason;
    return null;
  };
}
