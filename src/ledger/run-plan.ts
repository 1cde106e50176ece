/** The plan of a run as the ledger keeps it: everything that must not change on a retry. */
import type { Connection, Database } from '../connectors/postgres/database.ts';
import type { CursorWindow, PartitionFilter, PlannedPartition, Transfer } from '../connectors/source.ts';
import type { CommitUnit, Json, PartitionRef } from '../contracts/run.ts';
import type { ListPartitionsInput } from '../contracts/stages.ts';
import { PermanentError } from '../errors.ts';

export interface PlannedColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly notNull: boolean;
  readonly enumLabels: readonly string[] | null;
  /** No value that is extracted can be null: nobody has to look. */
  readonly neverNull?: boolean;
}

export interface RunPlan {
  readonly params: { readonly [name: string]: Json };
  readonly source: string;
  readonly target: string;
  readonly transfer: Transfer;
  readonly commit: CommitUnit;
  /** Columns read from the source. */
  readonly read: readonly string[];
  /** Columns of the staging table. */
  readonly staged: readonly PlannedColumn[];
  /** Columns that reach the target. */
  readonly loaded: readonly PlannedColumn[];
  /** No two extracted rows can have the same key of the target: nobody has to look. */
  readonly distinctKeys?: boolean;
  /** The target refuses two rows with the same key: nobody has to look before it did. */
  readonly targetRefusesTwins?: boolean;
  /** Partitions of which it has; null is the whole run. */
  readonly twinsRefused?: readonly (number | null)[];
  /** Nobody will ask staged rows for their partition and position: they are committed as a whole, and none of them can be unfit. */
  readonly unmarked?: boolean;
  /** The rows are built beside the target and swapped in; null where they go through staging. */
  readonly beside?: PlannedSwap | null;
  /** The target itself, quoted, where each chunk goes right into it and is committed with its record; null where rows wait for a commit. */
  readonly direct?: string | null;
  /** The source gives positions of its records. */
  readonly window: CursorWindow | null;
  readonly rowsExpected: number | null;
  readonly partitions: number;
}

/** Somebody has to look for rows with the same key in a partition, or in the whole run (null). */
export function mayHoldTwins(plan: RunPlan, partition: number | null): boolean {
  if (plan.distinctKeys) return false;
  return !plan.targetRefusesTwins || (plan.twinsRefused ?? []).includes(partition);
}

export interface PlannedSwap {
  /** Oid of the empty table that is replaced; null where the target does not exist. */
  readonly replaces: string | null;
}

export interface StoredRun {
  readonly runKey: string;
  readonly workflowId: string;
  readonly pipeline: string;
  readonly fingerprint: string;
  readonly status: string;
  readonly plan: RunPlan;
}

export async function readRun(database: Pick<Database, 'query'>, runKey: string): Promise<StoredRun | null> {
  const [row] = await database.query<{ workflow_id: string; pipeline: string; fingerprint: string; status: string; plan: RunPlan }>(
    'select workflow_id, pipeline, fingerprint, status, plan from sluice.runs where run_key = $1',
    [runKey],
  );
  if (!row) return null;
  return { runKey, workflowId: row.workflow_id, pipeline: row.pipeline, fingerprint: row.fingerprint, status: row.status, plan: row.plan };
}

/** The newest plan of a run: another run that moved the watermark makes it plan again, under `key+1`. */
export async function readNewestPlan(database: Pick<Database, 'query'>, runKey: string): Promise<StoredRun | null> {
  const [row] = await database.query<{ run_key: string }>(
    `select run_key from sluice.runs where run_key = $1 or starts_with(run_key, $1 || '+') order by planned_at desc limit 1`,
    [runKey],
  );
  return row ? await readRun(database, row.run_key) : null;
}

/** Writes the run; false where it has been planned already (the first plan stands). Waits for a twin in flight. */
export async function insertRun(client: Connection, run: Omit<StoredRun, 'status'>): Promise<boolean> {
  const result = await client.query(
    `insert into sluice.runs (run_key, workflow_id, pipeline, fingerprint, plan) values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [run.runKey, run.workflowId, run.pipeline, run.fingerprint, JSON.stringify(run.plan)],
  );
  return result.rowCount === 1;
}

export async function insertPartitions(
  client: Connection,
  runKey: string,
  first: number,
  partitions: readonly PlannedPartition[],
): Promise<void> {
  await client.query(
    `insert into sluice.partitions (run_key, partition, name, plan)
     select $1, $2 + ordinality - 1, plan ->> 'name', plan from unnest($3::jsonb[]) with ordinality as p (plan, ordinality)`,
    [runKey, first, partitions.map((partition) => JSON.stringify(partition))],
  );
}

/** What tells the rows of a partition of a run apart, or those of each of its partitions. */
export async function readFilters(client: Connection, runKey: string, partition: number | null): Promise<PartitionFilter[]> {
  const { rows } = await client.query<{ filter: PartitionFilter }>(
    `select plan -> 'filter' as filter from sluice.partitions where run_key = $1 and ($2::int is null or partition = $2) order by partition`,
    [runKey, partition],
  );
  return rows.map((row) => row.filter);
}

/** Completes the plan with what was only known once all partitions were seen. */
export async function updatePlan(client: Connection, runKey: string, plan: RunPlan): Promise<void> {
  await client.query('update sluice.runs set plan = $2 where run_key = $1', [runKey, JSON.stringify(plan)]);
}

export async function readPartition(database: Database, runKey: string, partition: number): Promise<PlannedPartition> {
  return requirePartition(await database.query(PARTITION_PLAN, [runKey, partition]), runKey, partition);
}

/** The same inside a transaction. */
export async function readPartitionOn(client: Connection, runKey: string, partition: number): Promise<PlannedPartition> {
  return requirePartition((await client.query<{ plan: PlannedPartition }>(PARTITION_PLAN, [runKey, partition])).rows, runKey, partition);
}

/** One partition, or all of a run. */
export async function readPlannedPartitions(
  database: Database,
  runKey: string,
  partition: number | null,
): Promise<{ id: number; planned: PlannedPartition }[]> {
  return await database.query<{ id: number; planned: PlannedPartition }>(
    'select partition as id, plan as planned from sluice.partitions where run_key = $1 and ($2::int is null or partition = $2) order by partition',
    [runKey, partition],
  );
}

const PARTITION_PLAN = 'select plan from sluice.partitions where run_key = $1 and partition = $2';

function requirePartition(rows: readonly { plan?: PlannedPartition }[], runKey: string, partition: number): PlannedPartition {
  const plan = rows[0]?.plan;
  if (!plan) throw new PermanentError('RunEnded', `Run ${runKey} has no partition ${partition} in the ledger; it was collected.`);
  return plan;
}

/** The partitions that a stage still has to do, in pages in the order of their numbers. */
export async function listPartitions(database: Database, input: ListPartitionsInput): Promise<PartitionRef[]> {
  const whole = `exists (select 1 from sluice.chunks c where c.run_key = p.run_key and c.partition = p.partition and c.last)`;
  const checked = `exists (select 1 from sluice.transforms t where t.run_key = p.run_key and t.unit = 'transform:' || p.partition and t.checked)`;
  const condition = { extract: `not ${whole}`, transform: `${whole} and not ${checked}`, load: `${whole} and ${checked}` }[input.stage];
  const rows = await database.query<{ id: number; name: string }>(
    `select p.partition as id, p.name from sluice.partitions p
     where p.run_key = $1 and p.partition > $2 and ($3::text[] is null or p.name = any ($3)) and ${condition}
       and not exists (select 1 from sluice.commits k where k.run_key = p.run_key and k.unit in ('load', 'load:' || p.partition))
     order by p.partition limit $4`,
    [input.run.key, input.after, input.names, input.limit],
  );
  return rows;
}

/** How many of the planned partitions are not in the target. */
export async function countUncommitted(database: Database, runKey: string, names: readonly string[] | null): Promise<number> {
  const [row] = await database.query<{ left: number }>(
    `select count(*)::int as left from sluice.partitions p
     where p.run_key = $1 and ($2::text[] is null or p.name = any ($2))
       and not exists (select 1 from sluice.commits k where k.run_key = p.run_key and k.unit in ('load', 'load:' || p.partition))`,
    [runKey, names],
  );
  return row?.left ?? 0;
}
