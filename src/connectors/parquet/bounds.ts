/** Where the rows of a partition are: the part of its plan that only this source understands. */
import type { Json } from '../../contracts/run.ts';
import type { PlannedFile } from '../files.ts';
import type { PlannedPartition } from '../source.ts';

/** The rows of a partition in one file. */
export interface FileBounds extends PlannedFile {
  /** Number of the first row in the file that belongs to the partition. */
  readonly from: number;
  /** One more than the number of the last. */
  readonly to: number;
  /** How many of the rows in between belong to it; all of them where that is `to - from`. */
  readonly rows: number;
}

export interface Bounds {
  readonly files: readonly FileBounds[];
}

/** Where the next chunk starts. */
export interface Position {
  /** Number of the file within the partition's bounds. */
  readonly file: number;
  readonly row: number;
}

export const toJson = (bounds: Bounds): Json => bounds as unknown as Json;
export const boundsOf = (partition: PlannedPartition): Bounds => partition.bounds as unknown as Bounds;
export const positionOf = (json: Json): Position => (json === null ? { file: 0, row: 0 } : (json as unknown as Position));

/** Rows of one file: 68 thousand millions. With this many a record's position stays a safe integer for 131,072 files. */
const ROWS_PER_FILE = 2 ** 36;

/** One number for a row, unique within its partition and in the order in which the partition is read. */
export const recordPosition = (file: number, row: number): number => file * ROWS_PER_FILE + row;
export const placeOfRecord = (position: number): Position => ({
  file: Math.floor(position / ROWS_PER_FILE),
  row: position % ROWS_PER_FILE,
});
