import type { BoundPipeline } from '../pipeline/definition.ts';

/** How many bad rows a unit may have. @param read how many rows it has */
export function tolerated({ tolerate }: Pick<BoundPipeline, 'tolerate'>, read: number): number {
  return 'rows' in tolerate ? tolerate.rows : Math.floor(tolerate.share * read);
}
