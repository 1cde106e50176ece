/** Which failures of DuckDB are permanent. */
import { PermanentError, SluiceError, TransientError } from '../../errors.ts';

/**
 * What a failure of a query over these files means.
 *
 * DuckDB names the kind of an error at the start of its message (https://duckdb.org/docs/stable/dev/errors): `IO Error` is the
 * file system, `Out of Memory Error` the limit set on it; `Invalid Input Error` and the like, in a query that Sluice wrote itself,
 * are the file's content.
 */
export function explainDuckDBError(error: unknown, files: readonly string[], signal: AbortSignal | null): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof SluiceError) return error;
  const text = messageOf(error);
  if (/^IO Error: No files found/.test(text)) {
    return new PermanentError('MissingFile', `${text.slice('IO Error: '.length)}. Every worker must see the same files.`, { cause: error });
  }
  if (/^IO Error/.test(text)) return new TransientError('FileSystem', `Reading or writing a file failed: ${text}`, { cause: error });
  if (/^Out of Memory Error/.test(text)) {
    return new TransientError('OutOfMemory', `DuckDB reached its memory limit: ${text}. Smaller partitions or more workers help.`, {
      cause: error,
    });
  }
  if (/^(Invalid Input|Invalid|Serialization|Conversion|Not implemented|Invalid type|Out of Range) Error/i.test(text)) {
    const named = files.find((file) => text.includes(file)) ?? (files.length === 1 ? files[0] : undefined);
    const which = named === undefined ? `One of ${files.length} files` : `File "${named}"`;
    return new PermanentError(
      'UnreadableFile',
      `${which} cannot be read as Parquet: ${text}. Write the file again, then start a new run.`,
      {
        cause: error,
      },
    );
  }
  return error;
}

/** The first line. (An error of the native library is no `instanceof Error` where the runtime has several realms, as in tests.) */
function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return (typeof message === 'string' ? message : String(error)).split('\n')[0]?.trim() ?? '';
}
