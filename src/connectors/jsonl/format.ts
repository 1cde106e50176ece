/** JSON lines as a format of record files. */
import { PermanentError } from '../../errors.ts';
import { byteOrderMarkLength, findLineStarts, isUtf16 } from '../record-files/lines.ts';
import type { RecordFormat } from '../record-files/record-format.ts';
import type { JsonlConfig } from './config.ts';
import { JsonlRecordCutter } from './record-cutter.ts';

/** Objects of each file whose keys are its columns, where the configuration names none. */
const SAMPLE = 1000;

/** The format that a configuration describes. */
export function jsonlFormat(config: JsonlConfig): RecordFormat {
  return {
    maxRecordBytes: config.maxRecordBytes,
    async layout(window, path) {
      const firstRecord = await byteOrderMarkLength(window);
      if (isUtf16(window)) {
        throw new PermanentError('UnsupportedEncoding', `File "${path}" is UTF-16. Convert it to UTF-8 (iconv -f UTF-16 -t UTF-8).`);
      }
      const cutter = new JsonlRecordCutter(config.maxRecordBytes);
      return { columns: config.columns ?? [], firstRecord, cutter: () => cutter };
    },
    recordStarts: findLineStarts,
    ...(config.columns ? {} : { sampledRecords: SAMPLE }),
  };
}
