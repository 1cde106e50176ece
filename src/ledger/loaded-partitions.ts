/** The partitions of a run that are in the target, for `verify`. */
import type { Database } from '../connectors/postgres/database.ts';
import type { PartitionFilter, PlannedPartition } from '../connectors/source.ts';
import type { PartitionRef } from '../contracts/run.ts';
import type { ListLoadedInput } from '../contracts/verification.ts';

const LOADED = `exists (select 1 from sluice.commits k where k.run_key = p.run_key and k.unit in ('load', 'load:' || p.partition))`;

/** A page of them, in the order of their numbers. */
export async function listLoaded(database: Database, { run, after, limit }: ListLoadedInput): Promise<PartitionRef[]> {
  return await database.query<PartitionRef & { id: number }>(
    `select p.partition as id, p.name from sluice.partitions p
     where p.run_key = $1 and p.partition > $2 and ${LOADED} order by p.partition limit $3`,
    [run.key, after, limit],
  );
}

/** As planned, with their numbers; one of them, or all where `partition` is null. */
export async function readLoaded(
  database: Database,
  runKey: string,
  partition: number | null,
): Promise<{ readonly id: number; readonly plan: PlannedPartition }[]> {
  return await database.query(
    `select p.partition as id, p.plan from sluice.partitions p
     where p.run_key = $1 and ($2::int is null or p.partition = $2) and ${LOADED} order by p.partition`,
    [runKey, partition],
  );
}

/** Their filters only. */
export async function readLoadedFilters(database: Database, runKey: string, partition: number | null): Promise<PartitionFilter[]> {
  const rows = await database.query<{ filter: PartitionFilter }>(
    `select p.plan -> 'filter' as filter from sluice.partitions p
     where p.run_key = $1 and ($2::int is null or p.partition = $2) and ${LOADED} order by p.partition`,
    [runKey, partition],
  );
  return rows.map((row) => row.filter);
}

/** Whether rows of a run, or of one of its partitions, are in quarantine. */
export async function hasQuarantined(database: Database, runKey: string, partition: number | null): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(
    'select exists (select 1 from sluice.quarantine where run_key = $1 and ($2::int is null or partition = $2)) as found',
    [runKey, partition],
  );
  return row?.found ?? false;
}
