/** Bytes and rows into staging by COPY. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { type Connection, quoteName, quoteText } from '../connectors/postgres/database.ts';
import type { CopyChunk } from '../connectors/source.ts';
import { TransientError } from '../errors.ts';

/** A COPY that takes or gives no byte for this long is given up: the network or the other side hangs. */
const STALL_MS = 60_000;

export interface CopyInput extends Pick<CopyChunk, 'format' | 'dialect' | 'columns'> {
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * COPY ... FROM STDIN. The source's stream sets the pace.
 *
 * @returns rows written
 * @throws whatever the source throws, or the server's refusal of a row (`pg.DatabaseError`)
 */
export async function copyIn(client: Connection, table: string, { format, dialect, columns, bytes }: CopyInput): Promise<number> {
  const list = columns.map(quoteName).join(', ');
  const options = [`format ${format}`];
  if (dialect) {
    const { delimiter, quote, escape: escapedBy, nullText } = dialect;
    options.push(`delimiter ${quoteText(delimiter)}`, `quote ${quoteText(quote)}`, `escape ${quoteText(escapedBy)}`);
    options.push(`null ${quoteText(nullText)}`);
  }
  const copy = client.query(copyFrom(`copy ${table} (${list}) from stdin with (${options.join(', ')})`));
  const stalled = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      stalled.abort(new TransientError('Stalled', `COPY into ${table} has not moved for ${STALL_MS / 1000} s`, { blameless: true }));
    }, STALL_MS);
  };
  alive();
  try {
    await pipeline(Readable.from(watched(bytes, alive), { objectMode: false, highWaterMark: 256 * 1024 }), copy, {
      signal: stalled.signal,
    });
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
  return copy.rowCount ?? 0;
}

async function* watched(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, alive: () => void): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    alive();
    yield piece;
  }
}
