/** The tables in which the rows of a run wait for its commit: made by the plan, and others when what was planned cannot be. */
import type { Connection } from '../connectors/postgres/database.ts';
import type { RunPlan } from './run-plan.ts';
import { besideTable, createStaging, tablesOf } from './staging.ts';

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
 * again.
 */
export async function landInStaging(client: Connection, runKey: string, plan: RunPlan, options: LandingOptions): Promise<void> {
  await client.query(`update sluice.runs set plan = plan - 'beside' - 'unmarked' where run_key = $1`, [runKey]);
  await client.query('delete from sluice.chunks where run_key = $1 and logged', [runKey]);
  await client.query(`drop table if exists ${besideTable(runKey)}`);
  await createStagingOf(client, runKey, { ...plan, beside: null, unmarked: false }, options);
}

/** The target refused a row for its key: from here on a unit's rows are looked through for twins before they are loaded, this one's again. */
export async function lookForTwins(client: Connection, runKey: string, transformUnit: string): Promise<void> {
  await client.query(`update sluice.runs set plan = plan - 'targetRefusesTwins' where run_key = $1`, [runKey]);
  await client.query('delete from sluice.transforms where run_key = $1 and unit = $2', [runKey, transformUnit]);
}
