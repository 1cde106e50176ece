/** Counts and sums of what the source has in some partitions, made by the server itself. */
import type { SourceTotals, TotalsRequest } from '../source.ts';
import type { Opening } from './chunk-copy.ts';
import { all, windowCondition } from './conditions.ts';
import { quoteName } from './database.ts';
import { readPosition } from './key-ranges.ts';
import { anyOf } from './load.ts';
import { reading } from './read-transaction.ts';
import { columnOf, readRelation, requireReadable } from './relation.ts';
import { SourceWatch } from './source-watch.ts';

export async function sourceTotals(opening: Opening, { partitions, ends, columns, window, signal }: TotalsRequest): Promise<SourceTotals> {
  const { database, config } = opening;
  const watch = new SourceWatch(config.maxLag ?? null, ...ends.map((end) => readPosition(end).seen));
  return await reading(database, { signal, lock: await opening.lock(), watch }, async (transaction) => {
    const relation = await readRelation(transaction, database, config);
    const filters = partitions.map(({ filter }) => filter);
    const compared = filters.flatMap((filter) => ('column' in filter ? [columnOf(relation, filter.column, database.label)] : []));
    await requireReadable(transaction, relation, config, [...columns, ...compared.map(({ name }) => name)], database.label);
    // Without the type's length, which would cut the values of partitions.
    const types = compared.map(({ name, type, notNull }) => ({ name, sqlType: type.castName, notNull }));
    const where = all([`(${anyOf(filters, types)})`, windowCondition(relation, window, database.label)]);
    const sums = columns.map((name, index) => `, sum(${quoteName(name)})::text as s${index}`).join('');
    const [row] = await transaction.query<Record<string, string | null>>(
      `select count(*)::text as rows${sums} from ${relation.from} where ${where}`,
    );
    return { rows: Number(row?.rows ?? 0), sums: columns.map((_, index) => row?.[`s${index}`] ?? null), of: 'all' };
  });
}
