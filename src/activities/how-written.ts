/** How the rows of a run get into the target, in words. */
import type { TargetTable } from '../connectors/postgres/target-table.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';

export interface HowWritten {
  readonly says: string;
  /** Why not faster; null where this is the fastest way there is. */
  readonly whyNotFaster: string | null;
}

export function howWritten({ target: { mode, scope, key } }: BoundPipeline, table: TargetTable): HowWritten {
  const by = key ? ` on (${key.join(', ')})` : '';
  if (!table.exists) {
    const last = key ? `, then the primary key${by}` : '';
    return { says: `staging, and then CREATE TABLE and INSERT${last}, in one transaction`, whyNotFaster: null };
  }
  switch (mode) {
    case 'append':
      return { says: 'staging, and then INSERT', whyNotFaster: null };
    case 'upsert':
      return { says: `staging, and then MERGE${by}; rows that are equal already are left alone`, whyNotFaster: null };
    case 'replace': {
      const what = scope === 'partition' ? 'the rows of the partitions loaded' : 'all rows';
      return { says: `staging, and then, where they differ, DELETE of ${what} and INSERT, in one transaction`, whyNotFaster: null };
    }
  }
}
