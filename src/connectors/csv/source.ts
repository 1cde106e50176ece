/** CSV files as a source. */
import { RecordFileSource } from '../record-files/source.ts';
import type { Source } from '../source.ts';
import type { CsvConfig } from './config.ts';
import { csvFormat } from './format.ts';

/** Rows are records of text: every value is a string or null. */
export function createCsvSource(config: CsvConfig): Source {
  return new RecordFileSource('csv', config.files, csvFormat(config));
}
