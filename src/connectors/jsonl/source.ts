/** Files of JSON lines as a source. */
import { RecordFileSource } from '../record-files/source.ts';
import type { Source } from '../source.ts';
import type { JsonlConfig } from './config.ts';
import { jsonlFormat } from './format.ts';

/** Rows are JSON objects; integers beyond 2^53 are bigints, and other numbers that a double cannot hold are `ExactNumber`. */
export function createJsonlSource(config: JsonlConfig): Source {
  return new RecordFileSource('jsonl', config.files, jsonlFormat(config));
}
