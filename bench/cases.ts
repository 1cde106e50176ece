/** A case: one piece of work, done by Sluice and by hand. */
import type { Json } from '../src/contracts/run.ts';
import type { HandWork } from './by-hand.ts';
import type { FreshTable } from './database.ts';

export interface BenchCase {
  readonly name: string;
  /** Cases of a group share worker processes, and one warm-up. */
  readonly group: string;
  /** Rows that are moved. */
  readonly rows: number;
  /** What Sluice does. */
  readonly pipeline: string;
  readonly params: Record<string, Json>;
  /** The same by hand. */
  readonly hand: HandWork;
  /** Where each side loads to: two tables alike. */
  readonly ours: string;
  readonly byHand: string;
  /** Both, as they are before each measurement. */
  readonly table: Omit<FreshTable, 'name'>;
}
