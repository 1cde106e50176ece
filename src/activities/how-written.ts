/** How the rows of a run get into the target, in words. */
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { DecidedPlan } from './decide-plan.ts';

export interface HowWritten {
  readonly says: string;
  /** Why not faster; null where this is the fastest way there is. */
  readonly whyNotFaster: string | null;
}

export function howWritten(pipeline: BoundPipeline, { target: table, beside, direct, whyNotSwapped }: DecidedPlan): HowWritten {
  const { mode, scope, key } = pipeline.target;
  const by = key ? ` on (${key.join(', ')})` : '';
  if (direct) return { says: 'once, into the target itself: each chunk is committed as it is copied', whyNotFaster: null };
  if (beside) {
    const keys = table.exists ? ', then its keys and indexes' : key ? `, then the primary key${by}` : '';
    return { says: `once, into a table beside the target${keys}, and swapped in by the commit`, whyNotFaster: null };
  }
  const whyNotFaster = `no swap: ${whyNotSwapped}`;
  if (!table.exists) {
    const last = key ? `, then the primary key${by}` : '';
    return { says: `staging, and then CREATE TABLE and INSERT${last}, in one transaction`, whyNotFaster };
  }
  switch (mode) {
    case 'append':
      return { says: 'staging, and then INSERT', whyNotFaster };
    case 'upsert':
      return { says: `staging, and then MERGE${by}; rows that are equal already are left alone`, whyNotFaster };
    case 'replace': {
      const what = scope === 'partition' ? 'the rows of the partitions loaded' : 'all rows';
      return { says: `staging, and then, where they differ, DELETE of ${what} and INSERT, in one transaction`, whyNotFaster };
    }
  }
}
