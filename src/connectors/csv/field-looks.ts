/**
 * Which fields may go into COPY as the bytes that they are: those of which it is certain that the row parser takes them and that
 * PostgreSQL reads the same value from them as from what the row encoder would write. All others are no verdict: their record is parsed,
 * judged and encoded like any record.
 */
import { compileChecks, type Judge } from '../../validation/check.ts';
import { type EncodableColumn, readSqlType, valueEncoder } from '../../validation/column-encoders.ts';
import { takeApart, type ZodNode } from '../../validation/compile.ts';
import { createRowParser } from '../../validation/row-parser.ts';
import type { ColumnType, RowSchema } from '../../validation/row-schema.ts';
import { ByteDecimal, ByteInstant, ByteInteger, EXACT_DIGITS, lengthIsWithin } from './byte-values.ts';

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

/** What has to be looked at in a column of the staging table. */
export function lookAtField(staged: EncodableColumn, schema: RowSchema | null): FieldLook {
  const column = schema?.columns.find((each) => each.name === staged.name);
  const { notNull } = staged;
  if (!schema || !column) return { look: lookAtText(staged), nullPasses: !notNull, absentPasses: !notNull };
  const parse = createRowParser({ columns: [column], zod: schema.zod, uncompiled: null }, 'text');
  const givesNull = (values: Record<string, unknown>): boolean => {
    const parsed = parse(values);
    return !notNull && parsed.ok && (parsed.row[column.name] ?? null) === null;
  };
  return {
    look: lookAtTyped(staged, column, schema),
    nullPasses: givesNull({ [column.name]: null }),
    absentPasses: givesNull({}),
  };
}

/** Any type: the row parser's and the encoder's own steps on the text of the value. */
function lookAtAll(staged: EncodableColumn, column: ColumnType | null, schema: RowSchema | null): Look {
  const encode = valueEncoder(staged);
  if (!column || !schema) {
    return (bytes, start, end) => {
      const text = bytes.toString('utf8', start, end);
      return encode(text) === text;
    };
  }
  const { name } = column;
  const parse = createRowParser({ columns: [column], zod: schema.zod, uncompiled: null }, 'text');
  return (bytes, start, end) => {
    const text = bytes.toString('utf8', start, end);
    const parsed = parse({ [name]: text });
    if (!parsed.ok) return false;
    const value = parsed.row[name] ?? null;
    return value !== null && encode(value) === text;
  };
}

const INTEGERS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  smallint: [-32768, 32767],
  integer: [-2147483648, 2147483647],
  bigint: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
};

/** A column without a schema: the text, if the staging type takes it. */
function lookAtText(staged: EncodableColumn): Look | null {
  const { base, modifiers, array } = readSqlType(staged.sqlType);
  const any = () => lookAtAll(staged, null, null);
  if (array || staged.enumLabels) return any();
  const [first] = modifiers;
  switch (base) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return lookAtInteger(INTEGERS[base] as readonly [number, number], null, false);
    case 'numeric':
    case 'real':
    case 'double precision':
      return lookAtDecimal(base, modifiers);
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

function lookAtTyped(staged: EncodableColumn, column: ColumnType, schema: RowSchema): Look | null {
  const apart = takeApart(column.name, (schema.zod as unknown as ZodNode)._zod.def.shape?.[column.name] as ZodNode);
  const { base, modifiers, array } = readSqlType(staged.sqlType);
  const any = () => lookAtAll(staged, column, schema);
  if (column.uncompiled !== null || apart.raw || apart.catches || array || staged.enumLabels) return any();
  const judge = compileChecks(apart);
  const [first] = modifiers;
  switch (column.type) {
    case 'string': {
      const fits = lookAtText(staged);
      if (!judge) return fits;
      const passes = lookAtString(column, judge);
      return fits ? (bytes, start, end) => passes(bytes, start, end) && fits(bytes, start, end) : passes;
    }
    case 'int':
    case 'bigint': {
      const asBigint = column.type === 'bigint';
      const value = judge && asBigint ? (each: unknown) => judge(BigInt(each as number)) : judge;
      const range = INTEGERS[base];
      if (range) return lookAtInteger(range, value, true);
      const scale = modifiers[1] ?? 0;
      const digits = base === 'numeric' && first !== undefined ? first - scale : EXACT_DIGITS;
      if (scale >= 0 && ['numeric', 'real', 'double precision', 'text', 'blank padded'].includes(base)) {
        return lookAtInteger([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY], value, true, digits);
      }
      return any();
    }
    case 'number': {
      const range = INTEGERS[base];
      if (range) return lookAtInteger(range, judge, true);
      return lookAtNumber(base, modifiers, judge) ?? any();
    }
    case 'boolean':
      return base === 'boolean' ? lookAtBoolean(judge) : any();
    case 'date':
      return lookAtDate(base, judge) ?? any();
    case 'isoDate':
    case 'isoDatetime':
      return lookAtIso(base, column.type, judge) ?? any();
    case 'json':
      return any();
  }
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

function lookAtInteger([low, high]: readonly [number, number], judge: Judge | null, mustBeCanonical: boolean, digits = EXACT_DIGITS): Look {
  const number = new ByteInteger();
  const most = Math.min(digits, EXACT_DIGITS);
  return (bytes, start, end) =>
    number.read(bytes, start, end, most) &&
    (number.canonical || !mustBeCanonical) &&
    number.value >= low &&
    number.value <= high &&
    (judge === null || judge(number.value) === null);
}

/** Text for a type of numbers: within its limits, whatever the spelling. */
function lookAtDecimal(base: string, [precision, scale = 0]: readonly number[]): Look {
  const number = new ByteDecimal();
  if (base !== 'numeric' || precision === undefined) {
    // A float has no room for tiny and for huge numbers, which have more digits than this.
    return (bytes, start, end) => number.read(bytes, start, end) && number.whole + number.fraction <= 30;
  }
  const whole = precision - scale;
  return (bytes, start, end) => number.read(bytes, start, end) && number.whole <= whole && number.fraction <= scale;
}

/** A double, which the encoder writes in its shortest form: the stored value must be the same from the text as it came. */
function lookAtNumber(base: string, [precision, scale = 0]: readonly number[], judge: Judge | null): Look | null {
  const number = new ByteDecimal();
  const passes = () => judge === null || judge(number.value) === null;
  switch (base) {
    case 'double precision':
      return (bytes, start, end) => number.read(bytes, start, end) && !Object.is(number.value, -0) && passes();
    case 'real':
      return (bytes, start, end) =>
        number.read(bytes, start, end) && !Object.is(number.value, -0) && number.whole + number.fraction <= EXACT_DIGITS && passes();
    case 'numeric':
      if (precision === undefined) break;
      return (bytes, start, end) =>
        number.read(bytes, start, end) &&
        number.whole <= precision - scale &&
        number.fraction <= scale &&
        number.whole + number.fraction <= EXACT_DIGITS &&
        passes();
    case 'text':
    case 'blank padded':
      break;
    default:
      return null;
  }
  return (bytes, start, end) => number.read(bytes, start, end) && number.canonical && passes();
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
function lookAtDate(base: string, judge: Judge | null): Look | null {
  const instant = new ByteInstant();
  const passes = () => judge === null || judge(new Date(instant.milliseconds)) === null;
  switch (base) {
    case 'timestamp with time zone':
      return (bytes, start, end) => instant.read(bytes, start, end) && passes();
    case 'timestamp without time zone':
    case 'date':
      // These types look at what the text says before its zone.
      return (bytes, start, end) => instant.read(bytes, start, end) && instant.isUtc && passes();
    default:
      return null;
  }
}

/** A day or an instant as text that has to match the schema's pattern. */
function lookAtIso(base: string, type: 'isoDate' | 'isoDatetime', judge: Judge | null): Look | null {
  if (!['date', 'timestamp with time zone', 'timestamp without time zone'].includes(base)) return null;
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
