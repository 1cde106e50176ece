/** What every activity of a planned run begins with: its definition as planned, its target, its plan from the ledger. */
import type { Database } from '../connectors/postgres/database.ts';
import type { RunRef } from '../contracts/run.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { type RunPlan, readRun } from '../ledger/run-plan.ts';
import { type RunTables, tablesOf } from '../ledger/staging.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { Dependencies } from './dependencies.ts';

export interface PlannedRun {
  readonly pipeline: BoundPipeline;
  readonly database: Database;
  readonly plan: RunPlan;
  readonly tables: RunTables;
}

/** @throws PermanentError `RunEnded` where the ledger does not know the run */
export async function plannedRun(dependencies: Dependencies, run: RunRef): Promise<PlannedRun> {
  const pipeline = dependencies.boundPipeline(run);
  const database = dependencies.target(pipeline);
  // Read each time: where the rows wait may change in the middle of a run.
  const stored = await readRun(database, run.key);
  if (!stored) throw new PermanentError('RunEnded', `Run ${run.key} is not in the ledger of ${database.label}.`);
  const { plan } = stored;
  return { pipeline, database, plan, tables: tablesOf(run.key, plan, pipeline.sqlTransform !== null) };
}

/**
 * What the ledger knows of a run that is only to be ended. It does without the planned definition: where that has changed or is gone, the run is looked
 * for in the target that the definition names by now, and in the database of this worker.
 *
 * @throws PermanentError `RunEnded` where the ledger does not know the run
 * @throws TransientError `DefinitionChanged` where it is in neither: another worker may know its database
 */
export async function recordedRun(dependencies: Dependencies, run: RunRef): Promise<Pick<PlannedRun, 'database' | 'plan'>> {
  try {
    return await plannedRun(dependencies, run);
  } catch (error) {
    if (!(error instanceof TransientError && error.code === 'DefinitionChanged')) throw error;
    const found =
      (await lookFor(run, () => dependencies.targetByNow(run.pipeline, run.params))) ??
      (await lookFor(run, () => dependencies.target({ target: {} })));
    if (!found) throw error;
    return found;
  }
}

/**
 * The run as a database has it; null where that one does not, or where no database can be made of the definition.
 * @throws TransientError where the database does not answer
 */
async function lookFor(run: RunRef, target: () => Database): Promise<Pick<PlannedRun, 'database' | 'plan'> | null> {
  try {
    const database = target();
    const stored = await readRun(database, run.key);
    return stored && { database, plan: stored.plan };
  } catch (error) {
    if (error instanceof TransientError) throw error;
    return null;
  }
}
