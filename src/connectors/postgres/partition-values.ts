/** Values that partitions are named by, as the target's column takes them: `01` and `1` are two texts, and one integer. */
import { PermanentError } from '../../errors.ts';
import type { PartitionFilter } from '../source.ts';
import type { PostgresTargetConfig } from './config.ts';
import { type Connection, quoteName, quoteTable } from './database.ts';
import { isDataError } from './errors.ts';
import type { LoadColumn } from './load-column.ts';
import { withoutLength } from './types.ts';

type ValueFilter = Extract<PartitionFilter, { kind: 'equals' }> & { readonly value: string };

const namesValue = (filter: PartitionFilter): filter is ValueFilter => filter.kind === 'equals' && filter.value !== null;

/** The partitions that the target can have rows of: not those whose value the column's type refuses, all of whose rows are in quarantine. */
export async function storablePartitions(
  client: Connection,
  filters: readonly PartitionFilter[],
  columns: readonly LoadColumn[],
): Promise<PartitionFilter[]> {
  const { values, sqlType } = valuesOf(filters, columns);
  const storable = new Set(await validValues(client, values, sqlType));
  return filters.filter((filter) => !namesValue(filter) || storable.has(filter.value));
}

/**
 * Refuses partitions that are committed one by one where the target holds the values of two of them for equal: the commit of one would
 * delete what the other has committed.
 *
 * @param target the table, with whether it is there: its column says which texts are equal
 * @throws PermanentError `EqualPartitions`
 */
export async function requireDistinctPartitions(
  client: Connection,
  filters: readonly PartitionFilter[],
  columns: readonly LoadColumn[],
  target: { readonly config: PostgresTargetConfig; readonly exists: boolean },
): Promise<void> {
  const { values, sqlType, column } = valuesOf(filters, columns);
  const valid = await validValues(client, values, sqlType);
  if (valid.length < 2) return;
  const { table } = target.config;
  const given = `select text, value from unnest($1::text[], $2::${sqlType}[]) as given (text, value)`;
  // Beside the table's own column the values have its collation.
  const typed = target.exists ? `select null, ${quoteName(column)} from ${quoteTable(table)} where false` : 'select null, null where false';
  const { rows } = await client.query<{ texts: string[] }>(
    `select array_agg(text order by text collate "C") as texts from (${given} union all ${typed}) as given
     group by value having count(*) > 1 order by texts limit 1`,
    [valid, valid],
  );
  const [equal] = rows;
  if (!equal) return;
  const shown = equal.texts.slice(0, 3).map((text) => JSON.stringify(text));
  throw new PermanentError(
    'EqualPartitions',
    `table "${table}": the partitions ${shown.join(' and ')} of "${column}" are one value in a column of type ${sqlType}: with commit: 'partition' and scope: 'partition' ` +
      "the commit of one would delete what the other has committed. Write the value in one way in the source, or commit the run as a whole (commit: 'run'). Nothing was changed.",
  );
}

/** The values that partitions of a run are named by, and their column with its type; no values where it is not loaded. */
function valuesOf(
  filters: readonly PartitionFilter[],
  columns: readonly LoadColumn[],
): { values: string[]; column: string; sqlType: string } {
  const named = filters.filter(namesValue);
  const column = columns.find(({ name }) => name === named[0]?.column);
  if (!column) return { values: [], column: '', sqlType: 'text' };
  return { values: named.map(({ value }) => value), column: column.name, sqlType: withoutLength(column.sqlType) };
}

/** The texts that a type takes, in their order. Those that it refuses are looked for by halves. */
async function validValues(client: Connection, values: readonly string[], sqlType: string): Promise<readonly string[]> {
  if (values.length === 0) return values;
  await client.query('savepoint partition_values');
  try {
    await client.query(`select cardinality($1::${sqlType}[])`, [values]);
    await client.query('release savepoint partition_values');
    return values;
  } catch (error) {
    if (!isDataError(error)) throw error;
    await client.query('rollback to savepoint partition_values; release savepoint partition_values');
  }
  const half = Math.ceil(values.length / 2);
  if (half === values.length) return [];
  return [...(await validValues(client, values.slice(0, half), sqlType)), ...(await validValues(client, values.slice(half), sqlType))];
}
