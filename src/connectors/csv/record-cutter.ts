/**
 * Cuts bytes into CSV records, strictly after RFC 4180 with LF or CRLF between records.
 *
 * **Where reading goes on after broken quoting.** A quote that is not closed must not swallow the rest of the file, and nothing
 * before a record may change where it ends (reading resumes anywhere). So, whenever a record that begins with this line has
 * broken quoting - a quote that is not closed within `maxRecordBytes` or the file, text after a closing quote, a quote
 * inside an unquoted field, or a wrong number of fields in a record of several lines, which is what a stray quote looks like
 * that met another one - the line alone is the bad record, and the next line begins the next record.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { FileWindow } from '../record-files/file-window.ts';
import { CARRIAGE_RETURN, findLineEnd, NEWLINE, withoutCarriageReturn } from '../record-files/lines.ts';
import { overlongProblem } from '../record-files/record-cursor.ts';
import { Cut, type RecordCutter, type RecordProblem } from '../record-files/record-format.ts';
import type { CsvConfig } from './config.ts';

const NOT_CLOSED = 'broken quoting: a quote is not closed';
const AFTER_QUOTE = 'broken quoting: text after a closing quote';
const INSIDE_FIELD = 'broken quoting: a quote inside an unquoted field';
const INVALID_UTF8 = 'invalid UTF-8';
const NUL_BYTE = 'contains a NUL byte';

export type CsvDialect = Pick<CsvConfig, 'delimiter' | 'quote' | 'escape' | 'nullText' | 'maxRecordBytes'>;

/** Values without what objects inherit, so that any column name is safe. */
const Values = function Values() {} as unknown as new () => Record<string, unknown>;
Values.prototype = Object.create(null);

/** What the scan of a record with quotes found. */
interface Scan {
  /** End of the record without its line end, and the beginning of the next. */
  end: number;
  next: number;
  /** Beginning and end of each field's text, and whether it was quoted (1) and has escapes (2). */
  readonly fields: number[];
}

export class CsvRecordCutter implements RecordCutter {
  readonly #cut = new Cut();
  readonly #columns: readonly string[];
  /** Name of the column at each index that is wanted; null for the others. */
  readonly #wanted: readonly (string | null)[];
  readonly #dialect: CsvDialect;
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #escape: number;
  readonly #scan: Scan = { end: 0, next: 0, fields: [] };
  #quoteWindow: Buffer | null = null;
  #nextQuote = 0;

  /** @param wanted the columns that records have; the others are read over */
  constructor(dialect: CsvDialect, columns: readonly string[], wanted: readonly string[]) {
    this.#dialect = dialect;
    this.#columns = columns;
    const names = new Set(wanted);
    this.#wanted = columns.map((name) => (names.has(name) ? name : null));
    this.#delimiter = dialect.delimiter.charCodeAt(0);
    this.#quote = dialect.quote === null ? -1 : dialect.quote.charCodeAt(0);
    this.#escape = (dialect.escape ?? dialect.quote)?.charCodeAt(0) ?? -1;
  }

  cut(window: FileWindow, start: number, whole: boolean): Cut {
    const cut = this.#cut;
    const { bytes } = window;
    const { maxRecordBytes } = this.#dialect;
    const lineEnd = findLineEnd(window, start);
    if (lineEnd < 0 && !whole) return cut.incomplete(bytes.length - start > maxRecordBytes ? 'overlong' : 'more');
    const last = lineEnd < 0 ? bytes.length : lineEnd;
    const next = lineEnd < 0 ? bytes.length : lineEnd + 1;
    const end = withoutCarriageReturn(bytes, start, last);
    if (last - start > maxRecordBytes) return cut.bad(end, next, overlongProblem(maxRecordBytes));
    if (end === start && this.#columns.length > 1) return cut.blank(next);

    if (this.#firstQuote(bytes, start) < last) {
      const problem = this.#scanQuoted(bytes, start, whole);
      if (problem === 'more') return cut.incomplete('more');
      if (problem) return cut.bad(end, next, { column: null, reason: problem });
      const scan = this.#scan;
      const found = scan.fields.length / 3;
      if (found !== this.#columns.length) {
        return cut.bad(end, next, this.#wrongCount(found));
      }
      const broken = this.#refuseBytes(window, start, scan.end, () => this.#quotedFields());
      return broken ? cut.bad(scan.end, scan.next, broken) : cut.record(scan.end, scan.next, this.#quotedValues(window));
    }

    const broken = this.#refuseBytes(window, start, end, () => this.#plainFields(bytes, start, end));
    if (broken) return cut.bad(end, next, broken);
    const text = bytes.toString(window.ascii ? 'latin1' : 'utf8', start, end);
    const fields = text.split(this.#dialect.delimiter);
    if (fields.length !== this.#columns.length) return cut.bad(end, next, this.#wrongCount(fields.length));
    return cut.record(end, next, this.#values(fields));
  }

  /** The fields of the record at `start` as texts, for the header. */
  fields(
    window: FileWindow,
    start: number,
    whole: boolean,
  ): { readonly texts: readonly string[]; readonly next: number } | RecordProblem | 'more' {
    const { bytes } = window;
    const lineEnd = findLineEnd(window, start);
    if (lineEnd < 0 && !whole)
      return bytes.length - start > this.#dialect.maxRecordBytes ? overlongProblem(this.#dialect.maxRecordBytes) : 'more';
    const last = lineEnd < 0 ? bytes.length : lineEnd;
    let end = withoutCarriageReturn(bytes, start, last);
    let next = Math.min(last + 1, bytes.length);
    let texts: readonly string[];
    if (this.#firstQuote(bytes, start) < last) {
      const problem = this.#scanQuoted(bytes, start, whole);
      if (problem === 'more') return 'more';
      if (problem) return { column: null, reason: problem };
      ({ end, next } = this.#scan);
      const { fields } = this.#scan;
      texts = this.#quotedFields().map(([from, to], index) => {
        const text = bytes.toString('utf8', from, to);
        return (fields[index * 3 + 2] ?? 0) & 2 ? this.#unescape(text) : text;
      });
    } else texts = bytes.toString('utf8', start, end).split(this.#dialect.delimiter);
    const broken = this.#refuseBytes(window, start, end, () => []);
    return broken ?? { texts, next };
  }

  /** Index of the first quote from `start` on. */
  #firstQuote(bytes: Buffer, start: number): number {
    if (this.#quote < 0) return Number.POSITIVE_INFINITY;
    if (this.#quoteWindow !== bytes || this.#nextQuote < start) {
      const found = bytes.indexOf(this.#quote, start);
      this.#quoteWindow = bytes;
      this.#nextQuote = found < 0 ? Number.POSITIVE_INFINITY : found;
    }
    return this.#nextQuote;
  }

  #values(fields: readonly string[]): Record<string, unknown> {
    const values = new Values();
    const { nullText } = this.#dialect;
    const wanted = this.#wanted;
    for (let index = 0; index < fields.length; index++) {
      const name = wanted[index];
      if (name === null || name === undefined) continue;
      const field = fields[index];
      values[name] = field === nullText ? null : field;
    }
    return values;
  }

  /** Fills `#scan`. */
  #scanQuoted(bytes: Buffer, start: number, whole: boolean): string | 'more' | null {
    const scan = this.#scan;
    const { fields } = scan;
    fields.length = 0;
    const limit = bytes.length;
    const { maxRecordBytes } = this.#dialect;
    const tooFar = start + maxRecordBytes;
    let at = start;
    for (;;) {
      let endOfField: number;
      if (bytes[at] === this.#quote) {
        const close = this.#findClose(bytes, at + 1, tooFar);
        if (close < 0) return whole || limit > tooFar ? NOT_CLOSED : 'more';
        endOfField = close + 1;
        if (endOfField === limit && !whole) return 'more';
      } else {
        endOfField = at;
        for (; endOfField < limit; endOfField++) {
          const byte = bytes[endOfField];
          if (byte === this.#delimiter || byte === NEWLINE) break;
          if (byte === this.#quote) return INSIDE_FIELD;
        }
        if (endOfField === limit && !whole) return limit > tooFar ? NOT_CLOSED : 'more';
        const textEnd = bytes[endOfField] === this.#delimiter ? endOfField : withoutCarriageReturn(bytes, at, endOfField);
        fields.push(at, textEnd, 0);
      }
      const byte = endOfField < limit ? bytes[endOfField] : NEWLINE;
      if (byte === this.#delimiter) {
        at = endOfField + 1;
        if (at === limit && !whole) return 'more';
        continue;
      }
      let lineEnd = endOfField;
      if (byte === CARRIAGE_RETURN) {
        lineEnd++;
        if (lineEnd === limit && !whole) return 'more';
        if (lineEnd < limit && bytes[lineEnd] !== NEWLINE) return AFTER_QUOTE;
      } else if (byte !== NEWLINE) return AFTER_QUOTE;
      scan.end = withoutCarriageReturn(bytes, at, endOfField);
      scan.next = Math.min(lineEnd + 1, limit);
      return scan.end > tooFar ? NOT_CLOSED : null;
    }
  }

  /** The closing quote of the field whose text begins at `from`, which is added to `#scan`; -1 where it is not before `tooFar`. */
  #findClose(bytes: Buffer, from: number, tooFar: number): number {
    const quote = this.#quote;
    const escapedBy = this.#escape;
    let hasEscapes = 0;
    let at = from;
    for (;;) {
      if (escapedBy === quote) {
        at = bytes.indexOf(quote, at);
        if (at < 0 || at > tooFar) return -1;
        if (bytes[at + 1] !== quote) break;
        hasEscapes = 2;
        at += 2;
        continue;
      }
      const byte = bytes[at];
      if (byte === undefined || at > tooFar) return -1;
      if (byte === quote) break;
      if (byte === escapedBy && (bytes[at + 1] === quote || bytes[at + 1] === escapedBy)) {
        hasEscapes = 2;
        at++;
      }
      at++;
    }
    this.#scan.fields.push(from, at, 1 | hasEscapes);
    return at;
  }

  #quotedValues(window: FileWindow): Record<string, unknown> {
    const values = new Values();
    const { fields } = this.#scan;
    const { bytes, ascii } = window;
    const { nullText } = this.#dialect;
    for (let index = 0; index < this.#wanted.length; index++) {
      const name = this.#wanted[index];
      if (name === null || name === undefined) continue;
      const start = fields[index * 3];
      const end = fields[index * 3 + 1];
      const flags = fields[index * 3 + 2] ?? 0;
      const text = bytes.toString(ascii ? 'latin1' : 'utf8', start, end);
      if (flags & 2) values[name] = this.#unescape(text);
      else values[name] = flags === 0 && text === nullText ? null : text;
    }
    return values;
  }

  #unescape(text: string): string {
    const { quote, escape: escapedBy } = this.#dialect;
    if (quote === null) return text;
    if (escapedBy === undefined || escapedBy === quote) return text.replaceAll(quote + quote, quote);
    let plain = '';
    let from = 0;
    for (;;) {
      const at = text.indexOf(escapedBy, from);
      if (at < 0) return plain + text.slice(from);
      const following = text[at + 1];
      if (following === quote || following === escapedBy) {
        plain += text.slice(from, at) + following;
        from = at + 2;
      } else {
        plain += text.slice(from, at + 1);
        from = at + 1;
      }
    }
  }

  #wrongCount(found: number): RecordProblem {
    const expected = this.#columns.length;
    return { column: null, reason: `expected ${expected} field${expected === 1 ? '' : 's'}, found ${found}` };
  }

  /** Bytes that no text can have. */
  #refuseBytes(window: FileWindow, start: number, end: number, fields: () => readonly [number, number][]): RecordProblem | null {
    const { bytes } = window;
    if (window.hasNul) {
      const nul = bytes.indexOf(0, start);
      if (nul >= 0 && nul < end) return { column: this.#columnWhere(fields(), (from, to) => from <= nul && nul < to), reason: NUL_BYTE };
    }
    if (window.ascii) return null;
    const record = bytes.subarray(start, end);
    if (isAscii(record) || isUtf8(record)) return null;
    return { column: this.#columnWhere(fields(), (from, to) => !isUtf8(bytes.subarray(from, to))), reason: INVALID_UTF8 };
  }

  #columnWhere(fields: readonly [number, number][], found: (from: number, to: number) => boolean): string | null {
    if (fields.length !== this.#columns.length) return null;
    return this.#columns[fields.findIndex(([from, to]) => found(from, to))] ?? null;
  }

  #plainFields(bytes: Buffer, start: number, end: number): readonly [number, number][] {
    const fields: [number, number][] = [];
    let from = start;
    for (let at = start; at <= end; at++) {
      if (at < end && bytes[at] !== this.#delimiter) continue;
      fields.push([from, at]);
      from = at + 1;
    }
    return fields;
  }

  #quotedFields(): readonly [number, number][] {
    const fields: [number, number][] = [];
    const scanned = this.#scan.fields;
    for (let index = 0; index + 2 < scanned.length; index += 3) fields.push([scanned[index] ?? 0, scanned[index + 1] ?? 0]);
    return fields;
  }
}
