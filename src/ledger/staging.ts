/**
 * Staging: one unlogged table for a run (and one more for the result of a SQL transform), in the schema `sluice_staging`. Where somebody may
 * ask for it, a row carries its partition, by a column default that each transaction sets, so that rows travel as the source gives them.
 *
 * A first load that is swapped in has a logged table instead, which is what the target will be: without Sluice's own columns.
 */
import { createHash } from 'node:crypto';
import { type Connection, quoteName } from '../connectors/postgres/database.ts';
import { POSITION_COLUMN } from '../validation/encode-records.ts';
import type { PlannedColumn, RunPlan } from './run-plan.ts';

export const STAGING_SCHEMA = 'sluice_staging';
export const PARTITION_COLUMN = '_sluice_partition';

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

/** The table that a first load builds beside its target. */
export function besideTable(runKey: string): string {
  return `${STAGING_SCHEMA}.${quoteName(`beside_${tableId(runKey)}`)}`;
}

/** A table that the commit may make on the way. */
export function differingTable(runKey: string): string {
  return `${STAGING_SCHEMA}.${quoteName(`differing_${tableId(runKey)}`)}`;
}

/** A table with rows of a run. */
export interface RowsTable {
  readonly name: string;
  /** Its rows say their partition and position. */
  readonly marked: boolean;
  /** A crash of the server leaves its rows, and the records of their chunks. */
  readonly logged: boolean;
}

export interface RunTables {
  /** Chunks are copied into this one. */
  readonly extracted: RowsTable;
  /** This one is loaded: what the SQL transform made, or what was extracted. */
  readonly loaded: RowsTable;
}

/** @param transformed the pipeline has a SQL transform */
export function tablesOf(runKey: string, plan: Pick<RunPlan, 'beside' | 'unmarked' | 'direct'>, transformed: boolean): RunTables {
  const staging = { name: stagingTable(runKey), marked: !plan.unmarked, logged: false };
  const beside = { name: besideTable(runKey), marked: false, logged: true };
  if (transformed) {
    return { extracted: staging, loaded: plan.beside ? beside : { name: transformedTable(runKey), marked: true, logged: false } };
  }
  const target = plan.direct ? { name: plan.direct, marked: false, logged: true } : null;
  const only = target ?? (plan.beside ? beside : staging);
  return { extracted: only, loaded: only };
}

/** The columns of a table of staged rows. */
function declareStaged(columns: readonly PlannedColumn[], marked: boolean): string {
  const marks = [`${PARTITION_COLUMN} integer not null default current_setting('sluice.partition')::integer`, `${POSITION_COLUMN} bigint`];
  return [...(marked ? marks : []), ...columns.map((column) => `${quoteName(column.name)} ${column.sqlType}`)].join(', ');
}

/** Creates a staging table where it is not there. */
export async function createStaging(
  client: Connection,
  { name, marked }: Pick<RowsTable, 'name' | 'marked'>,
  columns: readonly PlannedColumn[],
): Promise<void> {
  await client.query(`create unlogged table if not exists ${name} (${declareStaged(columns, marked)}) with (autovacuum_enabled = false)`);
}

/** Creates a table like marked staging that only this session sees, until the end of the transaction. @param name in `pg_temp` */
export async function createTemporaryStaging(client: Connection, name: string, columns: readonly PlannedColumn[]): Promise<void> {
  await client.query(`create temporary table ${name} (${declareStaged(columns, true)}) on commit drop`);
}

/** Rows written to staging in this transaction belong to this partition. */
export async function setPartition(client: Connection, partition: number): Promise<void> {
  await client.query(`select set_config('sluice.partition', $1, true)`, [String(partition)]);
}

/** Takes the rows of these partitions out of staging; null for all. */
export async function forgetStaged(client: Connection, runKey: string, partitions: readonly number[] | null): Promise<void> {
  for (const table of [stagingTable(runKey), transformedTable(runKey)]) {
    if (!(await isThere(client, table))) continue;
    if (partitions === null) await client.query(`truncate ${table}`);
    else await client.query(`delete from ${table} where ${PARTITION_COLUMN} = any ($1)`, [partitions]);
  }
}

/** Whether there is a table of this name. */
export async function isThere(client: Connection, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]);
  return rows[0]?.there ?? false;
}

export async function dropStaging(client: Connection, runKey: string): Promise<void> {
  await client.query(`drop table if exists ${stagingTable(runKey)}, ${transformedTable(runKey)}, ${besideTable(runKey)}`);
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
export function withRelations(relations: { readonly staging: Relation; readonly rows?: Relation }, partition: number | null): string {
  const only = ` where ${ofUnit(partition)}`;
  const parts = Object.entries(relations).map(
    ([name, { table, columns }]) => `${name} as (select ${columnList(columns)} from ${table}${only})`,
  );
  return `with ${parts.join(', ')}`;
}

interface Relation {
  readonly table: string;
  readonly columns: readonly { readonly name: string }[];
}
