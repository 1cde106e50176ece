/** A case: one piece of work, done by Sluice and by hand. */
import type { Json } from '../src/contracts/run.ts';
import type { FreshTable } from './database.ts';
import type { HandWork } from './hand-work.ts';
import type { PeerWork } from './peers/peer.ts';

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
  /** Both, as they are before each measurement; null: missing. */
  readonly table: Omit<FreshTable, 'name'> | null;
  readonly wanted: Wanted;
  /** The same by other programs, or why they cannot do it. */
  readonly peers: PeerWork | { readonly dlt: string | PeerWork; readonly pgloader: string | PeerWork };
}

/** Where to arrive at. */
export interface Wanted {
  /** Our time over the limit's, at most. */
  readonly ratio?: number;
  /** Our time over that of another case, at most. */
  readonly over?: { readonly case: string; readonly ratio: number };
  /** Rows for each CPU second of the workers, at least. */
  readonly rowsPerCpuSecond?: number;
}
