/** The tables in which the rows of a run wait for its commit: made by the plan, and others when what was planned cannot be. */
import type { Connection } from '../connectors/postgres/database.ts';
import { FOUND_IN_STAGING } from './quarantine.ts';
import type { RunPlan } from './run-plan.ts';
import { besideTable, createStaging, forgetStaged, tablesOf } from './staging.ts';

export interface LandingOptions {
  /** The pipeline has a SQL transform. */
  readonly transformed: boolean;
}

/** Creates the staging tables of a run where they are not there. */
export async function createStagingOf(client: Connection, runKey: string, plan: RunPlan, { transformed }: LandingOptions): Promise<void> {
  const { extracted, loaded } = tablesOf(runKey, plan, transformed);
  if (!extracted.logged) await createStaging(client, extracted, plan.staged);
  if (transformed && !loaded.logged) await createStaging(client, loaded, plan.loaded);
}

/**
 * The rows of a run that were built beside its target go through staging from here on. What was copied beside is forgotten, and extracted
 * again; what a SQL transform reads is in staging already, and stays there as it is.
 */
export async function landInStaging(client: Connection, runKey: string, plan: RunPlan, options: LandingOptions): Promise<void> {
  const outdated = options.transformed ? ['beside'] : ['beside', 'unmarked'];
  await client.query('update sluice.runs set plan = plan - $2::text[] where run_key = $1', [runKey, outdated]);
  await client.query('delete from sluice.chunks where run_key = $1 and logged', [runKey]);
  await client.query(`drop table if exists ${besideTable(runKey)}`);
  await createStagingOf(client, runKey, { ...plan, beside: null, unmarked: options.transformed && plan.unmarked === true }, options);
}

/**
 * The target refused a row of a unit for its key: its rows are looked through for twins, and loaded again. Where rows were taken out of staging
 * before, it does not hold any more what the records of its chunks say, and is extracted again.
 *
 * @param partition null for the whole run
 */
export async function lookForTwins(client: Connection, runKey: string, partition: number | null, transformUnit: string): Promise<void> {
  await client.query(
    `update sluice.runs set plan = plan || jsonb_build_object('twinsRefused', coalesce(plan->'twinsRefused', '[]') || $2::jsonb) where run_key = $1`,
    [runKey, JSON.stringify([partition])],
  );
  await client.query('delete from sluice.transforms where run_key = $1 and unit = $2', [runKey, transformUnit]);
  const takenOut = await client.query(
    'select 1 from sluice.quarantine where run_key = $1 and ($2::int is null or partition = $2) and chunk = $3 limit 1',
    [runKey, partition, FOUND_IN_STAGING],
  );
  if (takenOut.rowCount === 0) return;
  await forgetCopied(client, runKey, partition === null ? null : [partition]);
}

/**
 * What was copied is extracted again.
 *
 * @param partitions null for all of the run
 */
export async function forgetCopied(client: Connection, runKey: string, partitions: readonly number[] | null): Promise<void> {
  await client.query('delete from sluice.chunks where run_key = $1 and ($2::int[] is null or partition = any ($2))', [runKey, partitions]);
  await forgetStaged(client, runKey, partitions);
}
