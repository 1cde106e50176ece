/**
 * The end of the next chunk, looked for while this one is copied: stepping over a million keys takes a tenth of the time of copying their rows.
 * What was found is a hint, and any key is a good end of a chunk: the chunk itself is one snapshot of whatever is there when it is read.
 */
import type { Database } from './database.ts';
import { type Bounds, type ChunkEnd, findEnd, readPosition } from './key-ranges.ts';
import { reading } from './read-transaction.ts';
import type { Relation } from './relation.ts';

/** Partitions that are copied by one process at a time are not many; what nobody came for is forgotten. */
const MOST = 64;

export class NextChunks {
  readonly #database: Database;
  readonly #ends = new Map<string, Promise<ChunkEnd | null>>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Starts to look for the end of the chunk after `request.position`. */
  lookFor(relation: Relation, request: Bounds & { readonly signal: AbortSignal }): void {
    const options = { signal: request.signal, lock: relation.lock };
    const end = reading(this.#database, options, (transaction) => findEnd(transaction, relation, request, this.#database.label));
    this.#ends.set(
      nameOf(request),
      // Whoever needs it looks again, and tells what is wrong.
      end.catch(() => null),
    );
    if (this.#ends.size > MOST) this.#ends.delete(this.#ends.keys().next().value ?? '');
  }

  /** What was found for the chunk after `request.position`; null where nobody looked. */
  async take(request: Bounds): Promise<ChunkEnd | null> {
    const name = nameOf(request);
    const end = await this.#ends.get(name);
    this.#ends.delete(name);
    return end ?? null;
  }
}

function nameOf({ partition, window, position }: Bounds): string {
  return JSON.stringify([partition.name, partition.filter, window, readPosition(position).after]);
}
