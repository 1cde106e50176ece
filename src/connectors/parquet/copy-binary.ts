/**
 * Columns as rows of PostgreSQL's binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT
 * Each column writes all of its values at once, at places in the rows that were measured before.
 */
import type { PlainPage, RowGroup } from './plain-parquet.ts';

/** How the values of a column, as they are in Parquet, become those of a column of PostgreSQL. */
export type BinaryForm =
  | { readonly kind: 'null' | 'boolean' | 'int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'date' | 'timestamp' | 'uuid' | 'text' }
  | { readonly kind: 'numeric'; readonly precision: number; readonly scale: number };

export const COPY_HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
export const COPY_TRAILER = Buffer.from('ffff', 'hex');

const LENGTH_BYTES = 4;
const COUNT_BYTES = 2;
/** From 1970 to 2000. */
const EPOCH_DAYS = 10_957;
const EPOCH_US = 946_684_800_000_000n;
const EPOCH_HIGH = Number(EPOCH_US >> 32n);
const EPOCH_LOW = Number(EPOCH_US & 0xffff_ffffn);
/** DuckDB's infinities are the greatest integer and its negative; PostgreSQL's are the greatest and the least. */
const INFINITE_DAYS = 2 ** 31 - 1;
const INFINITE_HIGH = 2 ** 31 - 1;
const NUMERIC_HEADER_BYTES = 8;
const GROUP_DIGITS = 4;

/** @param forms of the columns to write; a column whose form is `null` is not in the row group */
export function binaryRows(group: RowGroup, forms: readonly BinaryForm[]): Buffer {
  const { rows } = group;
  const columns = placed(group, forms);
  // Where each row's next value goes.
  const at = new Uint32Array(rows);
  let fixed = COUNT_BYTES;
  for (const { form, pages } of columns) {
    fixed += LENGTH_BYTES;
    if (form.kind !== 'null') fixed += measure(form, pages, at);
  }
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const bytes = (at[row] ?? 0) + fixed;
    at[row] = total;
    total += bytes;
  }
  const bytes = Buffer.allocUnsafeSlow(total);
  for (let row = 0; row < rows; row++) {
    const start = at[row] ?? 0;
    bytes[start] = forms.length >> 8;
    bytes[start + 1] = forms.length;
    at[row] = start + COUNT_BYTES;
  }
  const view = new DataView(bytes.buffer);
  for (const { form, pages } of columns) {
    if (form.kind === 'null') {
      for (let row = 0; row < rows; row++) writeNull(view, at, row);
    }
    let from = 0;
    for (const page of pages) {
      write(form, page, bytes, view, at, from);
      from += page.rows;
    }
  }
  return bytes;
}

interface Placed {
  readonly form: BinaryForm;
  readonly pages: readonly PlainPage[];
}

function placed(group: RowGroup, forms: readonly BinaryForm[]): Placed[] {
  let next = 0;
  return forms.map((form) => ({ form, pages: form.kind === 'null' ? [] : (group.columns[next++]?.pages ?? []) }));
}

const groupsOf = (digits: number): number => Math.ceil(digits / GROUP_DIGITS);

/** Bytes of a value; null for text. */
function sizeOf(form: BinaryForm): number | null {
  switch (form.kind) {
    case 'null':
      return 0;
    case 'boolean':
      return 1;
    case 'int2':
      return 2;
    case 'int4':
    case 'float4':
    case 'date':
      return 4;
    case 'int8':
    case 'float8':
    case 'timestamp':
      return 8;
    case 'uuid':
      return 16;
    case 'numeric':
      return NUMERIC_HEADER_BYTES + 2 * (groupsOf(form.precision - form.scale) + groupsOf(form.scale));
    case 'text':
      return null;
  }
}

/** Adds the bytes of a column's values to those of the rows. @returns what every row has besides */
function measure(form: BinaryForm, pages: readonly PlainPage[], sizes: Uint32Array): number {
  const size = sizeOf(form);
  if (size !== null && pages.every(({ present }) => present === null)) return size;
  let row = 0;
  for (const { rows, present, values } of pages) {
    let from = 0;
    for (let index = 0; index < rows; index++, row++) {
      if (present !== null && present[index] === 0) continue;
      if (size !== null) sizes[row] = (sizes[row] ?? 0) + size;
      else {
        const length = values.readUInt32LE(from);
        sizes[row] = (sizes[row] ?? 0) + length;
        from += LENGTH_BYTES + length;
      }
    }
  }
  return 0;
}

function writeNull(view: DataView, at: Uint32Array, row: number): void {
  const start = at[row] ?? 0;
  view.setInt32(start, -1);
  at[row] = start + LENGTH_BYTES;
}

type Write = (into: DataView, to: number, values: DataView, from: number) => void;

/** @param firstRow of the page within the row group */
function write(form: BinaryForm, page: PlainPage, bytes: Buffer, view: DataView, at: Uint32Array, firstRow: number): void {
  switch (form.kind) {
    case 'null':
      return;
    case 'text':
      writeTexts(page, bytes, view, at, firstRow);
      return;
    case 'boolean':
      writeFixed(page, view, at, firstRow, 4, 1, (into, to, values, from) => into.setInt8(to, values.getInt8(from)));
      return;
    case 'int2':
      writeFixed(page, view, at, firstRow, 4, 2, (into, to, values, from) => into.setInt16(to, values.getInt16(from, true)));
      return;
    case 'int4':
      writeFixed(page, view, at, firstRow, 4, 4, (into, to, values, from) => into.setInt32(to, values.getInt32(from, true)));
      return;
    case 'date':
      writeFixed(page, view, at, firstRow, 4, 4, writeDate);
      return;
    case 'float4':
      writeFixed(page, view, at, firstRow, 4, 4, (into, to, values, from) => into.setFloat32(to, canonical(values.getFloat32(from, true))));
      return;
    case 'float8':
      writeFixed(page, view, at, firstRow, 8, 8, (into, to, values, from) => into.setFloat64(to, canonical(values.getFloat64(from, true))));
      return;
    case 'int8':
      writeFixed(page, view, at, firstRow, 8, 8, (into, to, values, from) => {
        into.setInt32(to, values.getInt32(from + 4, true));
        into.setInt32(to + 4, values.getInt32(from, true));
      });
      return;
    case 'timestamp':
      writeFixed(page, view, at, firstRow, 8, 8, writeTimestamp);
      return;
    case 'uuid':
      writeFixed(page, view, at, firstRow, 16, 16, (into, to, values, from) => {
        for (let word = 0; word < 16; word += 4) into.setInt32(to + word, values.getInt32(from + word));
      });
      return;
    case 'numeric': {
      const bytesThere = form.precision <= 9 ? 4 : form.precision <= 18 ? 8 : 16;
      writeFixed(page, view, at, firstRow, bytesThere, sizeOf(form) ?? 0, numericWriter(form.precision, form.scale));
    }
  }
}

function writeFixed(page: PlainPage, view: DataView, at: Uint32Array, firstRow: number, read: number, size: number, writeOne: Write): void {
  const { rows, present, values } = page;
  const from = new DataView(values.buffer, values.byteOffset, values.length);
  let next = 0;
  for (let index = 0; index < rows; index++) {
    const row = firstRow + index;
    if (present !== null && present[index] === 0) {
      writeNull(view, at, row);
      continue;
    }
    const start = at[row] ?? 0;
    view.setInt32(start, size);
    writeOne(view, start + LENGTH_BYTES, from, next);
    next += read;
    at[row] = start + LENGTH_BYTES + size;
  }
}

/** Up to here a loop is faster than a call that copies. */
const SHORT_BYTES = 48;

function writeTexts(page: PlainPage, bytes: Buffer, view: DataView, at: Uint32Array, firstRow: number): void {
  const { rows, present, values } = page;
  let next = 0;
  for (let index = 0; index < rows; index++) {
    const row = firstRow + index;
    if (present !== null && present[index] === 0) {
      writeNull(view, at, row);
      continue;
    }
    const length = values.readUInt32LE(next);
    next += LENGTH_BYTES;
    const start = at[row] ?? 0;
    view.setInt32(start, length);
    const to = start + LENGTH_BYTES;
    if (length <= SHORT_BYTES) for (let byte = 0; byte < length; byte++) bytes[to + byte] = values[next + byte] as number;
    else values.copy(bytes, to, next, next + length);
    next += length;
    at[row] = to + length;
  }
}

const canonical = (value: number): number => (Number.isNaN(value) ? Number.NaN : value);

function writeDate(into: DataView, to: number, values: DataView, from: number): void {
  const days = values.getInt32(from, true);
  if (days === INFINITE_DAYS) into.setInt32(to, INFINITE_DAYS);
  else if (days === -INFINITE_DAYS) into.setInt32(to, -INFINITE_DAYS - 1);
  else into.setInt32(to, days - EPOCH_DAYS);
}

function writeTimestamp(into: DataView, to: number, values: DataView, from: number): void {
  const low = values.getUint32(from, true);
  const high = values.getInt32(from + 4, true);
  if (high === INFINITE_HIGH && low === 0xffff_ffff) {
    into.setInt32(to, high);
    into.setUint32(to + 4, low);
  } else if (high === -INFINITE_HIGH - 1 && low === 1) {
    into.setInt32(to, high);
    into.setUint32(to + 4, 0);
  } else {
    into.setInt32(to, high - EPOCH_HIGH - (low < EPOCH_LOW ? 1 : 0));
    into.setUint32(to + 4, low - EPOCH_LOW);
  }
}

/** The integer is counted off in groups of four digits either side of the point; the server drops those that are zero at the ends. */
function numericWriter(precision: number, scale: number): Write {
  const whole = groupsOf(precision - scale);
  const fraction = groupsOf(scale);
  const unit = 10 ** scale;
  const fill = 10 ** (fraction * GROUP_DIGITS - scale);
  const end = NUMERIC_HEADER_BYTES + 2 * (whole + fraction);
  return (into, to, values, from) => {
    const value = precision <= 9 ? values.getInt32(from, true) : largeInteger(values, from, precision, scale);
    into.setInt16(to, whole + fraction);
    into.setInt16(to + 2, whole - 1);
    into.setUint16(to + 4, value < 0 ? 0x4000 : 0);
    into.setInt16(to + 6, scale);
    if (typeof value === 'bigint') {
      writeWideDigits(into, to, value < 0n ? -value : value, fraction, scale, end);
      return;
    }
    const digits = Math.abs(value);
    // Exact: below 2^53 no quotient is rounded up to the next integer.
    let left = Math.floor(digits / unit);
    let right = (digits - left * unit) * fill;
    for (let place = to + end - 2; place >= to + NUMERIC_HEADER_BYTES + 2 * whole; place -= 2) {
      const rest = Math.floor(right / 10_000);
      into.setInt16(place, right - rest * 10_000);
      right = rest;
    }
    for (let place = to + NUMERIC_HEADER_BYTES + 2 * (whole - 1); place >= to + NUMERIC_HEADER_BYTES; place -= 2) {
      const rest = Math.floor(left / 10_000);
      into.setInt16(place, left - rest * 10_000);
      left = rest;
    }
  };
}

/** A number where it, and its digits after the point in whole groups, are exact as one. Parquet has 8 bytes little-endian, or 16 big-endian. */
function largeInteger(values: DataView, from: number, precision: number, scale: number): number | bigint {
  if (precision > 18) return (values.getBigInt64(from) << 64n) | values.getBigUint64(from + 8);
  const high = values.getInt32(from + 4, true);
  const isExact = high >= -(2 ** 21) && high < 2 ** 21 && scale <= 12;
  return isExact ? high * 2 ** 32 + values.getUint32(from, true) : values.getBigInt64(from, true);
}

function writeWideDigits(into: DataView, to: number, value: bigint, fraction: number, scale: number, end: number): void {
  let left = value * 10n ** BigInt(fraction * GROUP_DIGITS - scale);
  for (let place = to + end - 2; place >= to + NUMERIC_HEADER_BYTES; place -= 2) {
    into.setInt16(place, Number(left % 10_000n));
    left /= 10_000n;
  }
}
