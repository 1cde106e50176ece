/** Bytes and rows into staging by COPY. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { type Connection, quoteName, quoteText } from '../connectors/postgres/database.ts';
import { cutOff, givenAll } from '../connectors/postgres/liveness.ts';
import type { CopyChunk } from '../connectors/source.ts';
import { TransientError } from '../errors.ts';

/** A COPY that does not take what it was given for this long is given up: the network or the server hangs. How long the source takes is its own business. */
const STALL_MS = 60_000;

export interface CopyInput extends Pick<CopyChunk, 'format' | 'dialect' | 'columns'> {
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * COPY ... FROM STDIN. The source's stream sets the pace.
 *
 * @param stallMs how long the target may take for a piece
 * @returns rows written
 * @throws whatever the source throws, or the server's refusal of a row (`pg.DatabaseError`)
 */
export async function copyIn(
  client: Connection,
  table: string,
  { format, dialect, columns, bytes }: CopyInput,
  stallMs = STALL_MS,
): Promise<number> {
  const list = columns.map(quoteName).join(', ');
  const options = [`format ${format}`];
  if (dialect) {
    const { delimiter, quote, escape: escapedBy, nullText } = dialect;
    options.push(`delimiter ${quoteText(delimiter)}`, `quote ${quoteText(quote)}`, `escape ${quoteText(escapedBy)}`);
    options.push(`null ${quoteText(nullText)}`);
  }
  const copy = client.query(copyFrom(`copy ${table} (${list}) from stdin with (${options.join(', ')})`));
  let stalled: TransientError | null = null;
  let timer: NodeJS.Timeout | undefined;
  const given = () => {
    timer = setTimeout(() => {
      stalled = new TransientError('Stalled', `COPY into ${table} has not moved for ${stallMs / 1000} s`, { blameless: true });
      cutOff(client, stalled.message);
    }, stallMs);
  };
  const taken = () => clearTimeout(timer);
  const ended = () => givenAll.add(client);
  try {
    await pipeline(Readable.from(watched(bytes, given, taken, ended), { objectMode: false, highWaterMark: 256 * 1024 }), copy);
  } catch (error) {
    throw stalled ?? error;
  } finally {
    taken();
    givenAll.delete(client);
  }
  return copy.rowCount ?? 0;
}

/** A piece is taken when the next one is asked for. */
async function* watched(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  given: () => void,
  taken: () => void,
  ended: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    given();
    yield piece;
    taken();
  }
  ended();
}
