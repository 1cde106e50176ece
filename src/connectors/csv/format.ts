/** CSV as a format of record files: the header line, and the records after it. */
import { PermanentError } from '../../errors.ts';
import { CopyPieces } from '../../validation/copy-pieces.ts';
import { NeedsRecords } from '../needs-records.ts';
import type { FileWindow } from '../record-files/file-window.ts';
import { byteOrderMarkLength, isUtf16 } from '../record-files/lines.ts';
import type { FileLayout, RecordFormat } from '../record-files/record-format.ts';
import type { CopyDialect } from '../source.ts';
import type { CsvConfig } from './config.ts';
import { copyDialect } from './copy-dialect.ts';
import { PlainRecords } from './plain-records.ts';
import { CsvRecordCutter } from './record-cutter.ts';
import { findRecordStarts } from './record-starts.ts';

/** The format that a configuration describes. */
export function csvFormat(config: CsvConfig): RecordFormat {
  return {
    maxRecordBytes: config.maxRecordBytes,
    async layout(window, path): Promise<FileLayout> {
      const mark = await byteOrderMarkLength(window);
      if (isUtf16(window)) {
        throw new PermanentError('UnsupportedEncoding', `File "${path}" is UTF-16. Convert it to UTF-8 (iconv -f UTF-16 -t UTF-8).`);
      }
      const named = config.header === true ? await readHeader(window, mark, path, config) : { columns: config.header, next: mark };
      return {
        columns: named.columns,
        firstRecord: named.next,
        cutter: (wanted) => new CsvRecordCutter(config, named.columns, wanted),
      };
    },
    async recordStarts(cursor, offsets, signal) {
      const quote = config.quote === null ? -1 : config.quote.charCodeAt(0);
      const dialect = copyDialect(config);
      const plain = dialect instanceof NeedsRecords ? null : plainRecordsOf(dialect, cursor.layout.columns.length, config.maxRecordBytes);
      return await findRecordStarts(cursor, quote, (bytes, at, last) => plain?.skip(bytes, at, last) ?? -1, offsets, signal);
    },
  };
}

/** Finds the ends of records, whatever is in them. */
function plainRecordsOf(dialect: CopyDialect, fields: number, maxRecordBytes: number): PlainRecords {
  const options = { dialect, fields, maxRecordBytes, looks: [], gate: null, order: null, withPosition: false, lineEnd: '\n' } as const;
  return new PlainRecords(options, new CopyPieces());
}

async function readHeader(
  window: FileWindow,
  start: number,
  path: string,
  config: CsvConfig,
): Promise<{ columns: string[]; next: number }> {
  const cutter = new CsvRecordCutter(config, [], []);
  const bad = (reason: string) =>
    new PermanentError(
      'BadHeader',
      `File "${path}": the header line ${reason}. Correct the file, or give the columns as \`header: [...]\`.`,
    );
  if (window.bytes.length === start && window.atEnd) throw bad('is missing: the file is empty');
  for (;;) {
    const found = cutter.fields(window, start, window.atEnd);
    if (found === 'more') {
      await window.more(0);
      continue;
    }
    if ('reason' in found) throw bad(`cannot be read (${found.reason})`);
    const columns = found.texts.map((text, index) => (text === '' ? `column_${index + 1}` : text));
    const twice = columns.find((name, index) => columns.indexOf(name) !== index);
    if (twice !== undefined) throw bad(`names column "${twice}" twice`);
    return { columns, next: found.next };
  }
}
