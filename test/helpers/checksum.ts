/** Count and content of a table, order-independent, duplicates counted. */
import { query } from './servers.ts';

export interface Content {
  readonly rows: number;
  readonly checksum: string;
}

/** @param relation a table, or a subquery with an alias */
export async function contentOf(url: string, relation: string, columns = '*'): Promise<Content> {
  const [row] = await query<{ rows: string; checksum: string | null }>(
    url,
    `select count(*) as rows, sum(hashtextextended(r::text, 0)::numeric)::text as checksum from (select ${columns} from ${relation}) as r`,
  );
  return { rows: Number(row?.rows ?? 0), checksum: row?.checksum ?? 'empty' };
}
