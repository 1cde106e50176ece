/**
 * Which fields may go into COPY as the bytes that they are: those of which it is certain that the row parser takes them and that
 * PostgreSQL reads the same value from them as from what `recordEncoding` would write. All others are no verdict: their record is parsed,
 * judged and encoded like any record.
 */
import { compileChecks, type Judge } from '../../validation/check.ts';
import { valueEncoder } from '../../validation/column-encoders.ts';
import { TEXTS } from '../../validation/columns-as-given.ts';
import { takeApart, type ZodNode } from '../../validation/compile.ts';
import { type StagedColumn, type StoredColumn, storedColumns } from '../../validation/record-encoding.ts';
import { createRowParser } from '../../validation/row-parser.ts';
import type { ColumnType, RowSchema } from '../../validation/row-schema.ts';
import { EXACT_DIGITS } from '../../validation/short-numbers.ts';
import { readSqlType } from '../../validation/sql-type.ts';
import { ByteDecimal, ByteInstant, ByteInteger, lengthIsWithin } from './byte-values.ts';

/** The value at `bytes[start, end)` may pass as it is. */
export type Look = (bytes: Buffer, start: number, end: number) => boolean;

export interface FieldLook {
  /** Null where every value passes. */
  readonly look: Look | null;
  /** Null may pass as it is. */
  readonly nullPasses: boolean;
  /** That the file does not have the column at all may pass. */
  readonly absentPasses: boolean;
}

/** What has to be looked at in the columns of the staging table, by name. */
export function lookAtFields(staged: readonly StagedColumn[], schema: RowSchema | null): Map<string, FieldLook> {
  return new Map(storedColumns(schema, staged, 'text').map((column) => [column.name, lookAtField(column, schema)]));
}

function lookAtField(stored: StoredColumn, schema: RowSchema | null): FieldLook {
  const column = schema?.columns.find((each) => each.name === stored.name);
  const { notNull } = stored;
  if (!schema || !column) return { look: lookAtText(stored), nullPasses: !notNull, absentPasses: !notNull };
  const parse = createRowParser({ columns: [column], zod: schema.zod, uncompiled: null }, 'text');
  const givesNull = (values: Record<string, unknown>): boolean => {
    const parsed = parse(values);
    return !notNull && parsed.ok && (parsed.row[column.name] ?? null) === null;
  };
  return {
    look: lookAtTyped(stored, column, schema),
    nullPasses: givesNull({ [column.name]: null }),
    absentPasses: givesNull({}),
  };
}

/** Any type: the row parser's and the encoder's own steps on the text of the value. */
function lookAtAll(stored: StoredColumn, column: ColumnType | null, schema: RowSchema | null): Look {
  const encode = valueEncoder(stored);
  if (!column || !schema) {
    return (bytes, start, end) => {
      const text = bytes.toString('utf8', start, end);
      return encode(text) === text;
    };
  }
  const { name } = column;
  const { asGiven } = stored;
  const parse = createRowParser({ columns: [column], zod: schema.zod, uncompiled: null }, 'text');
  return (bytes, start, end) => {
    const text = bytes.toString('utf8', start, end);
    const parsed = parse({ [name]: text });
    if (!parsed.ok) return false;
    const value = asGiven?.keep(text, parsed.row[name]) ?? parsed.row[name] ?? null;
    return value !== null && encode(value) === text;
  };
}

const INTEGERS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  smallint: [-32768, 32767],
  integer: [-2147483648, 2147483647],
  bigint: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
};
const ANY_RANGE = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
const INSTANTS = new Set(['date', 'timestamp with time zone', 'timestamp without time zone']);

/** A column without a schema: the text, if the staging type takes it. */
function lookAtText(stored: StoredColumn): Look | null {
  const { base, modifiers, array } = readSqlType(stored.sqlType);
  const any = () => lookAtAll(stored, null, null);
  if (array || stored.enumLabels) return any();
  const [first] = modifiers;
  switch (base) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return lookAtInteger(INTEGERS[base] as readonly [number, number], null);
    case 'numeric':
    case 'real':
    case 'double precision':
      return lookAtDecimal(base, modifiers, null);
    case 'boolean':
      return lookAtBoolean(null);
    case 'character':
    case 'character varying':
      return first === undefined ? null : (bytes, start, end) => end - start <= first || lengthIsWithin(bytes, start, end, 0, first);
    case 'date':
    case 'timestamp with time zone':
    case 'timestamp without time zone': {
      const instant = new ByteInstant();
      return (bytes, start, end) => instant.read(bytes, start, end);
    }
    case 'uuid':
      return lookAtUuid;
    case 'json':
    case 'jsonb':
    case 'bytea':
      return any();
    default:
      // The encoder takes any text for these.
      return null;
  }
}

function lookAtTyped(stored: StoredColumn, column: ColumnType, schema: RowSchema): Look | null {
  const apart = takeApart(column.name, (schema.zod as unknown as ZodNode)._zod.def.shape?.[column.name] as ZodNode);
  const { base, array } = readSqlType(stored.sqlType);
  const any = () => lookAtAll(stored, column, schema);
  if (column.uncompiled !== null || apart.raw || apart.catches || array || stored.enumLabels) return any();
  const judge = compileChecks(apart);
  // What is stored is the text itself, so that it has to fit as well.
  if (column.type === 'string') return both(judge && lookAtString(column, judge), lookAtText(stored));
  const look = lookAtValue(column.type, stored, judge);
  return look ? both(look, TEXTS.has(base) ? lookAtText(stored) : null) : any();
}

/** A value that the schema makes of the text, where a type of PostgreSQL reads the same of it. */
function lookAtValue(type: ColumnType['type'], { sqlType }: StoredColumn, judge: Judge | null): Look | null {
  const { base, modifiers } = readSqlType(sqlType);
  const range = INTEGERS[base];
  const isText = TEXTS.has(base);
  const isNumber = isText || base === 'numeric' || base === 'real' || base === 'double precision';
  switch (type) {
    case 'int':
    case 'bigint': {
      const value = judge && type === 'bigint' ? (each: unknown) => judge(BigInt(each as number)) : judge;
      if (range) return lookAtInteger(range, value);
      const [precision, scale = 0] = base === 'numeric' ? modifiers : [];
      return isNumber && scale >= 0 ? lookAtInteger(ANY_RANGE, value, precision === undefined ? EXACT_DIGITS : precision - scale) : null;
    }
    case 'number':
      if (range) return lookAtInteger(range, judge);
      return isNumber ? lookAtDecimal(base, modifiers, judge) : null;
    case 'boolean':
      return base === 'boolean' ? lookAtBoolean(judge) : null;
    case 'date':
      return isText || INSTANTS.has(base) ? lookAtDate(base, judge) : null;
    case 'isoDate':
    case 'isoDatetime':
      return isText || INSTANTS.has(base) ? lookAtIso(type, judge) : null;
    default:
      return null;
  }
}

function both(some: Look | null, others: Look | null): Look | null {
  if (!some || !others) return some ?? others;
  return (bytes, start, end) => some(bytes, start, end) && others(bytes, start, end);
}

const FEW_WORDS = 16;

function lookAtString(column: ColumnType, judge: Judge): Look {
  const lengths = lengthsOf(column);
  if (lengths) {
    const [shortest, longest] = lengths;
    return (bytes, start, end) => lengthIsWithin(bytes, start, end, shortest, longest);
  }
  const [check] = column.checks;
  if (check?.kind === 'oneOf' && column.checks.length === 1 && check.values.length <= FEW_WORDS) {
    const words = check.values.flatMap((value) => (typeof value === 'string' ? [Buffer.from(value)] : []));
    return (bytes, start, end) => isOneOf(words, bytes, start, end);
  }
  return (bytes, start, end) => judge(bytes.toString('utf8', start, end)) === null;
}

/** The limits of a text's length; null where other checks are made on it. */
function lengthsOf(column: ColumnType): readonly [shortest: number, longest: number] | null {
  let shortest = 0;
  let longest = Number.POSITIVE_INFINITY;
  for (const check of column.checks) {
    if (check.kind !== 'minLength' && check.kind !== 'maxLength' && check.kind !== 'length') return null;
    if (check.kind !== 'maxLength') shortest = Math.max(shortest, check.value);
    if (check.kind !== 'minLength') longest = Math.min(longest, check.value);
  }
  return [shortest, longest];
}

function lookAtInteger([low, high]: readonly [number, number], judge: Judge | null, digits = EXACT_DIGITS): Look {
  const number = new ByteInteger();
  const most = Math.min(digits, EXACT_DIGITS);
  return (bytes, start, end) =>
    number.read(bytes, start, end, most) && number.value >= low && number.value <= high && (judge === null || judge(number.value) === null);
}

/** A float has no room for tiny and for huge numbers, which have more digits than this. */
const FLOAT_DIGITS = 30;

/** A number within the limits of its type, whatever the spelling. */
function lookAtDecimal(base: string, [precision, scale = 0]: readonly number[], judge: Judge | null): Look {
  const number = new ByteDecimal();
  const passes = () => judge === null || judge(number.value) === null;
  if (base !== 'numeric' || precision === undefined) {
    return (bytes, start, end) => number.read(bytes, start, end) && number.whole + number.fraction <= FLOAT_DIGITS && passes();
  }
  const whole = precision - scale;
  return (bytes, start, end) => number.read(bytes, start, end) && number.whole <= whole && number.fraction <= scale && passes();
}

const TRUE = ['true', 't', '1'].map((text) => Buffer.from(text));
const FALSE = ['false', 'f', '0'].map((text) => Buffer.from(text));

function lookAtBoolean(judge: Judge | null): Look {
  const allowed = [...(judge?.(true) ? [] : TRUE), ...(judge?.(false) ? [] : FALSE)];
  return (bytes, start, end) => isOneOf(allowed, bytes, start, end);
}

function isOneOf(words: readonly Buffer[], bytes: Buffer, start: number, end: number): boolean {
  for (let index = 0; index < words.length; index++) if (isAt(words[index] as Buffer, bytes, start, end)) return true;
  return false;
}

/** The bytes at `[start, end)` are these. */
export function isAt(word: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) if (bytes[start + index] !== word[index]) return false;
  return true;
}

/** A Date, which the encoder writes in UTC. */
function lookAtDate(base: string, judge: Judge | null): Look {
  const instant = new ByteInstant();
  const passes = () => judge === null || judge(new Date(instant.milliseconds)) === null;
  // These types look at what the text says before its zone.
  const mustBeUtc = base === 'timestamp without time zone' || base === 'date';
  return (bytes, start, end) => instant.read(bytes, start, end) && (instant.isUtc || !mustBeUtc) && passes();
}

/** A day or an instant as text that has to match the schema's pattern. */
function lookAtIso(type: 'isoDate' | 'isoDatetime', judge: Judge | null): Look {
  const instant = new ByteInstant();
  const isDay = type === 'isoDate';
  return (bytes, start, end) =>
    instant.read(bytes, start, end) &&
    (isDay ? !instant.hasTime : instant.isoSeparator) &&
    (judge === null || judge(bytes.toString('latin1', start, end)) === null);
}

const HEXADECIMAL = new Uint8Array(256);
for (const character of '0123456789abcdefABCDEF') HEXADECIMAL[character.charCodeAt(0)] = 1;
const DASHES = new Set([8, 13, 18, 23]);

/** `01234567-89ab-cdef-0123-456789abcdef` */
function lookAtUuid(bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== 36) return false;
  for (let index = 0; index < 36; index++) {
    const byte = bytes[start + index] as number;
    if (DASHES.has(index) ? byte !== 0x2d : HEXADECIMAL[byte] !== 1) return false;
  }
  return true;
}
