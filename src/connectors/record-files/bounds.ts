/** The bounds of a partition over files: data only, frozen in the plan. */
import { z } from 'zod';
import type { Json } from '../../contracts/run.ts';
import { PermanentError } from '../../errors.ts';

const rangeSchema = z.tuple([z.int(), z.int(), z.int()]);

const boundsSchema = z.object({
  files: z.array(z.object({ path: z.string(), bytes: z.int(), modifiedMs: z.int() })),
  ranges: z.array(rangeSchema),
  judge: z.object({ by: z.enum(['date', 'value']), column: z.string(), unreadable: z.boolean() }).nullable(),
});

/** Records that begin in `[from, to)`: index of the file in the partition's list, and byte offsets. */
export type FileRange = z.infer<typeof rangeSchema>;

/** Where a partition's records are, and which of the records there are its own. */
export type FileBounds = z.infer<typeof boundsSchema>;

export function toJson(bounds: FileBounds): Json {
  return bounds as Json;
}

export function readBounds(bounds: Json): FileBounds {
  return boundsSchema.parse(bounds);
}

/** Positions within a partition: the file's index and the byte offset in one number. */
const OFFSETS = 2 ** 40;
const MOST_FILES = Number.MAX_SAFE_INTEGER / OFFSETS;

/** @throws PermanentError `InvalidDefinition` for more files or larger files than positions can tell apart */
export function requireAddressable(bounds: FileBounds): void {
  if (bounds.files.length >= MOST_FILES) {
    throw new PermanentError(
      'InvalidDefinition',
      `A partition may have at most ${Math.floor(MOST_FILES)} files, this one has ${bounds.files.length}. Partition by file: \`partitionBy: file()\`.`,
    );
  }
  const large = bounds.files.find((file) => file.bytes >= OFFSETS);
  if (large) throw new PermanentError('InvalidDefinition', `File "${large.path}" is larger than 1 TiB. Split it.`);
}

export function packPosition(file: number, offset: number): number {
  return file * OFFSETS + offset;
}

export function unpackPosition(position: number): { readonly file: number; readonly offset: number } {
  const file = Math.floor(position / OFFSETS);
  return { file, offset: position - file * OFFSETS };
}

const chunkPositionSchema = z.object({ file: z.int(), offset: z.int() });

/** Where the next chunk begins. */
export type ChunkPosition = z.infer<typeof chunkPositionSchema>;

/** What is left of the ranges from a position on; all of them for null. */
export function rangesFrom(bounds: FileBounds, position: Json): FileRange[] {
  if (position === null) return bounds.ranges;
  const { file, offset } = chunkPositionSchema.parse(position);
  return bounds.ranges.flatMap(([index, from, to]): FileRange[] => {
    if (index < file || (index === file && to <= offset)) return [];
    return [[index, index === file ? Math.max(from, offset) : from, to]];
  });
}
