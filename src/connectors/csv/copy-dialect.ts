/** How a CSV file is declared to COPY: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-CSV */
import { NeedsRecords } from '../needs-records.ts';
import type { CopyDialect } from '../source.ts';
import type { CsvConfig } from './config.ts';

/** COPY always has a quote. For files without quoting it is this; fields that contain it are written in quotes. */
const UNLIKELY_QUOTE = '\x01';

/** How the files are declared, or why COPY cannot be told to read them as they are. */
export function copyDialect(config: Pick<CsvConfig, 'delimiter' | 'quote' | 'escape' | 'nullText'>): CopyDialect | NeedsRecords {
  const { delimiter, nullText } = config;
  const quote = config.quote ?? UNLIKELY_QUOTE;
  const escapedBy = config.quote === null ? quote : (config.escape ?? quote);
  if (escapedBy === delimiter) return new NeedsRecords('delimiter and escape are the same character');
  // Positions are written between the delimiters too, without quotes.
  for (const [name, value] of Object.entries({ delimiter, quote, escape: escapedBy })) {
    if (/\d/.test(value))
      return new NeedsRecords(`the ${name} is a digit, and so are those of the positions that are written beside the rows`);
  }
  if (/^\d+$/.test(nullText)) return new NeedsRecords('nullText is a number, as the positions that are written beside the rows are');
  if (/[\r\n\0]/.test(nullText) || nullText.includes(delimiter) || nullText.includes(quote)) {
    return new NeedsRecords('nullText has a delimiter, a quote or a line end in it');
  }
  return { delimiter, quote, escape: escapedBy, nullText };
}

/** What COPY expects by default needs no saying. */
export function isDefaultDialect({ delimiter, quote, escape: escapedBy, nullText }: CopyDialect): boolean {
  return delimiter === ',' && quote === '"' && escapedBy === '"' && nullText === '';
}

/** Writes values as fields of a line, without its end. */
export function lineWriter({ delimiter, quote, escape: escapedBy, nullText }: CopyDialect): (values: readonly (string | null)[]) => string {
  const special = new Set([delimiter, quote, '\r', '\n']);
  const field = (value: string | null): string => {
    if (value === null) return nullText;
    let isPlain = value !== '' && value !== nullText && !value.startsWith('\\');
    for (let index = 0; isPlain && index < value.length; index++) isPlain = !special.has(value[index] as string);
    if (isPlain) return value;
    const escaped = escapedBy === quote ? value : value.replaceAll(escapedBy, escapedBy + escapedBy);
    return quote + escaped.replaceAll(quote, escapedBy + quote) + quote;
  };
  return (values) => values.map(field).join(delimiter);
}
