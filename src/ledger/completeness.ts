/** The proof that staging holds what the plan asks for. A crash of the server empties staging and the records that vouch for it. */
import type { Connection } from '../connectors/postgres/database.ts';
import { ofUnit, PARTITION_COLUMN, type RowsTable } from './staging.ts';

/** What staging holds of the run, or of one partition. */
export interface Staged {
  /** Planned partitions whose chunks are not all recorded, or whose staged rows are not as many as the records say. */
  readonly missing: number;
  readonly rows: number;
}

/** Looks staging through. Where nothing is missing it is whole for the rest of this transaction: a crash of the server would end it. */
export async function countStaged(client: Connection, runKey: string, table: RowsTable, partition: number | null): Promise<Staged> {
  if (!table.marked) return await countBeside(client, runKey, table.name);
  const { rows } = await client.query<{ missing: number; rows: string }>(
    `with planned as (
       select partition from sluice.partitions where run_key = $1 and ($2::int is null or partition = $2)
     ), recorded as (
       select partition, count(*) as chunks, max(chunk) + 1 as numbered, bool_or(last) as whole, sum(rows_staged) as rows
       from sluice.chunks where run_key = $1 and ($2::int is null or partition = $2) group by partition
     ), staged as (
       select ${PARTITION_COLUMN} as partition, count(*) as rows from ${table.name}
       where ${ofUnit(partition)} group by 1
     )
     select count(*) filter (
              where recorded.whole is not true or recorded.chunks <> recorded.numbered or recorded.rows <> coalesce(staged.rows, 0)
            )::int as missing,
            coalesce(sum(staged.rows), 0) as rows
     from planned left join recorded using (partition) left join staged using (partition)`,
    [runKey, partition],
  );
  return { missing: rows[0]?.missing ?? 0, rows: Number(rows[0]?.rows ?? 0) };
}

/** Rows that do not say their partition, logged as the records of their chunks are. */
async function countBeside(client: Connection, runKey: string, table: string): Promise<Staged> {
  const { rows } = await client.query<{ planned: number; missing: number; recorded: string; rows: string }>(
    `with recorded as (
       select partition, count(*) = max(chunk) + 1 and bool_or(last) as whole, sum(rows_staged) as rows
       from sluice.chunks where run_key = $1 group by partition
     )
     select count(*)::int as planned, count(*) filter (where recorded.whole is not true)::int as missing,
            coalesce(sum(recorded.rows), 0) as recorded, (select count(*) from ${table}) as rows
     from sluice.partitions p left join recorded using (partition) where p.run_key = $1`,
    [runKey],
  );
  const { planned = 0, missing = 0, recorded = '0', rows: counted = '0' } = rows[0] ?? {};
  return { missing: missing === 0 && recorded !== counted ? planned : missing, rows: Number(counted) };
}

export interface TransformRecord {
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly rowsQuarantined: number;
  /** All checks of the pipeline have passed. */
  readonly checked: boolean;
}

/** Writes that the checks of a unit have passed. */
export async function markChecked(client: Connection, runKey: string, unit: string): Promise<void> {
  await client.query('update sluice.transforms set checked = true where run_key = $1 and unit = $2', [runKey, unit]);
}

/** Takes that back: the target refused the rows. */
export async function markRefused(client: Connection, runKey: string, unit: string): Promise<void> {
  await client.query('update sluice.transforms set checked = false where run_key = $1 and unit = $2', [runKey, unit]);
}

/** What the transform recorded for a unit; null where it has not run, or a crash of the server has emptied staging since. */
export async function readTransform(client: Pick<Connection, 'query'>, runKey: string, unit: string): Promise<TransformRecord | null> {
  const { rows } = await client.query<{ rows_in: string; rows_out: string; rows_quarantined: string; checked: boolean }>(
    'select rows_in, rows_out, rows_quarantined, checked from sluice.transforms where run_key = $1 and unit = $2',
    [runKey, unit],
  );
  const row = rows[0];
  if (!row) return null;
  const { rows_in, rows_out, rows_quarantined, checked } = row;
  return { rowsIn: Number(rows_in), rowsOut: Number(rows_out), rowsQuarantined: Number(rows_quarantined), checked };
}

/** Rows in the table that a unit is loaded from. */
export async function countRows(client: Connection, table: string, partition: number | null): Promise<number> {
  const { rows } = await client.query<{ rows: string }>(`select count(*) as rows from ${table} where ${ofUnit(partition)}`);
  return Number(rows[0]?.rows ?? 0);
}
