/** The work by hand where there is no psql: two connections, and the bytes of COPY piped from one to the other. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { HandWork } from './hand-work.ts';

const PIECE_BYTES = 256 * 1024;

export async function byHandWithNode({ from, url, before, copy, after }: HandWork): Promise<void> {
  const target = await connected(url);
  const source = 'url' in from ? await connected(from.url) : null;
  try {
    for (const statement of before) await target.query(statement);
    if ('url' in from) {
      if (source) await pipeline(source.query(copyTo(from.copy)), target.query(copyFrom(copy)));
    } else {
      for (const file of from.files) await pipeline(createReadStream(file, { highWaterMark: PIECE_BYTES }), target.query(copyFrom(copy)));
    }
    for (const statement of after) await target.query(statement);
  } finally {
    await Promise.allSettled([target.end(), source?.end()]);
  }
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}
