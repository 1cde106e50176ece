/**
 * Activity `commitUnit`: the one transaction that moves staged rows into the target and writes the ledger row that proves it.
 *
 * What if the process dies between two of these lines? Before COMMIT nothing has happened. After COMMIT the next attempt finds the
 * ledger row and returns its result. When the answer to COMMIT is lost, the next attempt waits for the transaction and finds either.
 */
import type { Connection } from '../connectors/postgres/database.ts';
import { readDigest } from '../connectors/postgres/digest.ts';
import { sqlState, UNIQUE_VIOLATION } from '../connectors/postgres/errors.ts';
import { keyTaken } from '../connectors/postgres/key-taken.ts';
import { loadRows, lockTarget } from '../connectors/postgres/load.ts';
import { swapIn } from '../connectors/postgres/swap.ts';
import type { Source } from '../connectors/source.ts';
import type { CommitResult, UnitInput } from '../contracts/stages.ts';
import { PermanentError, TransientError } from '../errors.ts';
import { readEnds } from '../ledger/chunks.ts';
import { claimCommit, moveWatermark, recordCommit } from '../ledger/commits.ts';
import { countRows, markRefused, readTransform } from '../ledger/completeness.ts';
import { holdFence, unitName } from '../ledger/fence.ts';
import { lookForTwins } from '../ledger/landing.ts';
import { mayHoldTwins, readFilters } from '../ledger/run-plan.ts';
import { columnList, differingTable, ofUnit } from '../ledger/staging.ts';
import { attempt } from './attempt.ts';
import type { Dependencies } from './dependencies.ts';
import { activity } from './failures.ts';
import { faultPoint } from './fault-points.ts';
import { withHeartbeats } from './heartbeats.ts';
import { plannedRun } from './planned-run.ts';

export function createCommitUnit(dependencies: Dependencies) {
  return activity(async ({ run, partition }: UnitInput): Promise<CommitResult> => {
    const { pipeline, database, plan, tables } = await plannedRun(dependencies, run);
    const id = partition?.id ?? null;
    const unit = unitName('load', id);
    const table = tables.loaded.name;
    const staged = `(select ${columnList(plan.loaded)} from ${table} where ${ofUnit(id)})`;
    const rowsToLoad = { target: pipeline.target, columns: plan.loaded, from: `${staged} as s` };

    const commit = async (client: Connection): Promise<CommitResult> => {
      const done = await claimCommit(client, run.key, unit);
      if (done) return { status: 'committed', rowsLoaded: done.rowsLoaded, rowsChanged: done.rowsChanged };
      await requireUnrewound(client, dependencies.source(pipeline.source), run.key, id);
      const transformed = await readTransform(client, run.key, unitName('transform', id));
      if (!transformed?.checked) throw new Undo({ status: 'incomplete', missing: 1 });
      // What is inserted counts itself.
      if (!plan.beside && pipeline.target.mode === 'upsert' && (await countRows(client, table, id)) !== transformed.rowsOut)
        throw new Undo({ status: 'incomplete', missing: 1 });
      if (plan.window?.high && !(await moveWatermark(client, run.pipeline, plan.window, run.key))) throw new Undo({ status: 'superseded' });
      await faultPoint('load:before-write', client);
      const rows = transformed.rowsOut;
      // What went another way than by binary COPY, its source cannot be asked for again.
      const asked = plan.transfer === 'binary' && !pipeline.sqlTransform;
      const digest = asked ? undefined : await readDigest(client, plan.loaded, `${staged} as r`);
      const place = await lockTarget(client, pipeline.target.table);
      const swapped = plan.beside ? await swapIn(client, { table, ...plan.beside }, pipeline.target, place) : false;
      const loaded = swapped
        ? { rowsLoaded: rows, rowsChanged: rows }
        : await loadRows(
            client,
            {
              ...rowsToLoad,
              differing: differingTable(run.key),
              rows,
              replaces: pipeline.target.scope === 'partition' ? await readFilters(client, run.key, id) : [],
            },
            place,
          );
      if (loaded.rowsLoaded !== rows) {
        if ((await countRows(client, table, id)) === rows) throw droppedRows(pipeline.target.table, rows, loaded.rowsLoaded);
        throw new Undo({ status: 'incomplete', missing: 1 });
      }
      await recordCommit(client, { runKey: run.key, unit }, id, { ...loaded, ...(digest === undefined ? {} : { digest }) });
      await faultPoint('load:before-commit', client);
      return { status: 'committed', ...loaded };
    };

    return await withHeartbeats(
      async () =>
        await attempt(database, run.key, unit, dependencies.options.identity, async ({ fence, reachedBoth }) => {
          await reachedBoth();
          try {
            const result = await database.transaction(async (client) => {
              await holdFence(client, fence);
              return await commit(client);
            });
            await faultPoint('load:after-commit');
            return result;
          } catch (error) {
            if (error instanceof Undo) return error.result;
            if (error instanceof PermanentError && error.code === 'DataRefused') {
              const transform = unitName('transform', id);
              const twins = plan.targetRefusesTwins && !mayHoldTwins(plan, id) && sqlState(error.cause) === UNIQUE_VIOLATION;
              const taken = twins ? null : await keyTaken(database, rowsToLoad, error.cause);
              if (taken) throw taken;
              await database.transaction(async (client) => {
                await holdFence(client, fence);
                if (twins) await lookForTwins(client, run.key, id, transform);
                else await markRefused(client, run.key, transform);
              });
              if (twins) return { status: 'incomplete', missing: 1 };
            }
            throw error;
          }
        }),
    );
  });
}

/** A source that does not answer says nothing of what it was: its rows are here, and are not held up. */
async function requireUnrewound(client: Connection, source: Source, runKey: string, partition: number | null): Promise<void> {
  if (!source.stillHas) return;
  await source.stillHas(await readEnds(client, runKey, partition)).catch((error: unknown) => {
    if (!(error instanceof TransientError)) throw error;
  });
}

/** All were staged and given to the table, which did not take all of them. */
function droppedRows(table: string, given: number, taken: number): PermanentError {
  return new PermanentError(
    'RowsDropped',
    `table "${table}" took ${taken} of ${given} rows without an error: a trigger or a rule of the table drops the others. ` +
      'Leave them out in the pipeline (a query, a row function or a SQL transform), or load into a table without it. Nothing was changed.',
  );
}

/** Ends the transaction without changing anything, with an answer. */
class Undo extends Error {
  readonly result: CommitResult;
  constructor(result: CommitResult) {
    super(result.status);
    this.result = result;
  }
}
