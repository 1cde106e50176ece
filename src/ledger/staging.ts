/**
 * Staging: one unlogged table for a run (and one more for the result of a SQL transform), in the schema `sluice_staging`. Every row
 * carries its partition by a column default that each transaction sets, so that rows travel as the source gives them.
 */
import { createHash } from 'node:crypto';
import { type Connection, quoteName } from '../connectors/postgres/database.ts';
import type { PlannedColumn } from './run-plan.ts';

export const STAGING_SCHEMA = 'sluice_staging';
export const PARTITION_COLUMN = '_sluice_partition';
export const POSITION_COLUMN = '_sluice_position';

/** Short name of a run's tables. */
function tableId(runKey: string): string {
  return createHash('sha256').update(runKey).digest('hex').slice(0, 24);
}

/** The table with the rows as extracted. */
export function stagingTable(runKey: string): string {
  return `${STAGING_SCHEMA}.${quoteName(`rows_${tableId(runKey)}`)}`;
}

/** The table with the rows as a SQL transform made them. */
export function transformedTable(runKey: string): string {
  return `${STAGING_SCHEMA}.${quoteName(`transformed_${tableId(runKey)}`)}`;
}

/** Creates a staging table where it is not there. */
export async function createStaging(client: Connection, table: string, columns: readonly PlannedColumn[]): Promise<void> {
  const declared = [
    `${PARTITION_COLUMN} integer not null default current_setting('sluice.partition')::integer`,
    `${POSITION_COLUMN} bigint`,
    ...columns.map((column) => `${quoteName(column.name)} ${column.sqlType}`),
  ];
  await client.query(`create unlogged table if not exists ${table} (${declared.join(', ')}) with (autovacuum_enabled = false)`);
}

/** Rows written to staging in this transaction belong to this partition. */
export async function setPartition(client: Connection, partition: number): Promise<void> {
  await client.query(`select set_config('sluice.partition', $1, true)`, [String(partition)]);
}

/** Takes the rows of these partitions out of staging; null for all. */
export async function forgetStaged(client: Connection, runKey: string, partitions: readonly number[] | null): Promise<void> {
  for (const table of [stagingTable(runKey), transformedTable(runKey)]) {
    const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]);
    if (!rows[0]?.there) continue;
    if (partitions === null) await client.query(`truncate ${table}`);
    else await client.query(`delete from ${table} where ${PARTITION_COLUMN} = any ($1)`, [partitions]);
  }
}

export async function dropStaging(client: Connection, runKey: string): Promise<void> {
  await client.query(`drop table if exists ${stagingTable(runKey)}, ${transformedTable(runKey)}`);
}

/** The table that is loaded: what the SQL transform made, or what was extracted. */
export function loadedTable(runKey: string, transformed: boolean): string {
  return transformed ? transformedTable(runKey) : stagingTable(runKey);
}

/** A condition that holds for the staged rows of one partition; of the whole run where it is null. */
export function ofUnit(partition: number | null): string {
  return partition === null ? 'true' : `${PARTITION_COLUMN} = ${partition}`;
}

/** `"a", "b"` */
export function columnList(columns: readonly { readonly name: string }[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column.name)).join(', ');
}

/**
 * The relations that the SQL of a pipeline sees: `staging` (rows as extracted) and, where asked, `rows` (rows to load), of the whole
 * run or of one partition, without Sluice's own columns.
 */
export function withRelations(
  runKey: string,
  relations: {
    readonly staging: readonly { readonly name: string }[];
    readonly rows?: { readonly table: string; readonly columns: readonly { readonly name: string }[] };
  },
  partition: number | null,
): string {
  const only = ` where ${ofUnit(partition)}`;
  const parts = [`staging as (select ${columnList(relations.staging)} from ${stagingTable(runKey)}${only})`];
  if (relations.rows) parts.push(`rows as (select ${columnList(relations.rows.columns)} from ${relations.rows.table}${only})`);
  return `with ${parts.join(', ')}`;
}
