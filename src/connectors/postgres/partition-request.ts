/** What a plan is asked for, and what it gives. */
import type { CursorWindow, PartitionFilter, Partitioning, PlannedPartition } from '../source.ts';
import type { Relation } from './relation.ts';

export interface PartitionRequest {
  readonly relation: Relation;
  readonly partitioning: Partitioning;
  readonly window: CursorWindow | null;
  /** Where, for messages. */
  readonly where: string;
}

export function planned(name: string, filter: PartitionFilter, rowsExpected: number | null): PlannedPartition {
  return { name, filter, bounds: null, rowsExpected };
}
