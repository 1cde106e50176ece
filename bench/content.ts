import { execute } from './database.ts';

/** Count and content of a table: independent of the order, duplicates counted. */
export interface Content {
  readonly rows: number;
  readonly checksum: string;
}

export async function contentOf(url: string, table: string): Promise<Content> {
  const [found] = await execute<{ rows: string; checksum: string | null }>(
    url,
    `select count(*) as rows, sum(hashtextextended(r::text, 0)::numeric)::text as checksum from ${table} as r`,
  );
  return { rows: Number(found?.rows ?? 0), checksum: found?.checksum ?? 'empty' };
}
