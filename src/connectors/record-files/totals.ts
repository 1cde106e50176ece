/** Counts and sums of the records of some partitions: their files are read once more, record by record. */
import { PermanentError } from '../../errors.ts';
import { stringifyJsonExactly } from '../../validation/exact-number.ts';
import { ExactSum } from '../../validation/exact-sum.ts';
import { requireUnchanged } from '../files.ts';
import type { SourceRecord, SourceTotals, TotalsRequest } from '../source.ts';
import { readBounds, unpackPosition } from './bounds.ts';
import { readChunk } from './read-chunk.ts';
import type { RecordFormat } from './record-format.ts';

/** @throws PermanentError `NotSummable` where a column that is added up has a value that is no number */
export async function sourceTotals(
  format: RecordFormat,
  { partitions, columns, quarantined, window, signal }: TotalsRequest,
): Promise<SourceTotals> {
  const sums = columns.map(() => new ExactSum());
  let rows = 0;
  for (const [nth, partition] of partitions.entries()) {
    const { files } = readBounds(partition.bounds);
    await requireUnchanged(files);
    const leftOut = columns.length > 0 ? await quarantined(nth) : new Set();
    const { batches } = readChunk(format, {
      ...{ partition, columns, window, signal, position: null },
      ...{ maxRows: Number.POSITIVE_INFINITY, maxBytes: Number.POSITIVE_INFINITY },
    });
    for await (const batch of batches) {
      rows += batch.length;
      if (columns.length === 0) continue;
      for (const record of batch) {
        if (record.problem || leftOut.has(record.position)) continue;
        columns.forEach((name, index) => {
          const text = numberText(record, name);
          if (text === null || sums[index]?.add(text)) return;
          const { file, offset } = unpackPosition(record.position);
          throw new PermanentError(
            'NotSummable',
            `File "${files[file]?.path}", byte ${offset}: column "${name}" is ${JSON.stringify(text)}, which is no number that adds up.`,
          );
        });
      }
    }
    await requireUnchanged(files);
  }
  return { rows, sums: sums.map((sum) => sum.text()), of: 'staged' };
}

/** Null where there is no value. */
function numberText(record: SourceRecord, name: string): string | null {
  const { values } = record;
  const value = values && Object.hasOwn(values, name) ? values[name] : null;
  if (value === null || typeof value === 'string') return value;
  return stringifyJsonExactly(value) ?? null;
}
