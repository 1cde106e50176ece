/** One attempt at a unit of work: takes the unit over, bounds attempts that move nothing, and never blames lost connections. */
import type { Database } from '../connectors/postgres/database.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { clearCount, countAttempt, type Fence, noteFailure, takeOver, uncountAttempt } from '../ledger/fence.ts';
import { toSluiceError } from './failures.ts';

/** Attempts in a row that reached both systems and moved no checkpoint, after which a unit stops and says so. */
const FRUITLESS_LIMIT = 8;

export interface Attempt {
  readonly fence: Fence;
  /** Call once both systems have been reached: from here on the attempt counts. */
  reachedBoth(): Promise<void>;
}

/**
 * @throws PermanentError `NoProgress`
 */
export async function attempt<T>(
  database: Database,
  runKey: string,
  unit: string,
  holder: string,
  work: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const fence = await takeOver(database, runKey, unit, holder);
  if (fence.fruitless >= FRUITLESS_LIMIT) {
    // A person who says "retry" starts with a clean count.
    await uncountAttempt(database, fence, FRUITLESS_LIMIT);
    throw new PermanentError(
      'NoProgress',
      `${unit}: ${FRUITLESS_LIMIT} attempts in a row reached both systems and moved nothing forward; it stops here. ` +
        `${fence.failure ? `The last failure: ${fence.failure}.` : 'The last one ended without a word, as a process does that is killed.'} Mend the cause, then: sluice retry.`,
    );
  }
  let counted = false;
  const reachedBoth = async () => {
    if (counted) return;
    await countAttempt(database, fence);
    counted = true;
  };
  try {
    const result = await work({ fence, reachedBoth });
    // Whatever the answer: paused, incomplete, done. What is counted is attempts in a row that had none.
    if (counted) await clearCount(database, fence).catch(() => {});
    return result;
  } catch (error) {
    const known = toSluiceError(error);
    // What is permanent stops by itself and says why; the count is for what would go round for ever.
    const uncounted = known instanceof PermanentError || (known instanceof TransientError && known.blameless);
    if (counted) await (uncounted ? uncountAttempt(database, fence, 1) : noteFailure(database, fence, known.message)).catch(() => {});
    throw error;
  }
}
