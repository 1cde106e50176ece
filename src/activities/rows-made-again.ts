/**
 * The rows that a run should have loaded, made once more of the source the way the run made them, in temporary tables that nobody else
 * sees: for files, transforms, and rows that the load changes or refuses. They go with the transaction, also when the worker is killed.
 */
import type { ComparableRows } from '../connectors/comparable-rows.ts';
import { type Connection, quoteName } from '../connectors/postgres/database.ts';
import { HashedRows } from '../connectors/postgres/hashed-rows.ts';
import type { PlannedPartition } from '../connectors/source.ts';
import type { Json, RunRef } from '../contracts/run.ts';
import { readLoaded } from '../ledger/loaded-partitions.ts';
import { columnList, createTemporaryStaging, ofUnit, PARTITION_COLUMN, setPartition } from '../ledger/staging.ts';
import { POSITION_COLUMN } from '../validation/encode-records.ts';
import { ChunkSize, smallEnough } from './chunk-size.ts';
import { ChunkWriter, type CopiedChunk, needsCare } from './chunk-writer.ts';
import type { Dependencies } from './dependencies.ts';
import { faultPoint } from './fault-points.ts';
import type { PlannedRun } from './planned-run.ts';
import { moveUnfitRows } from './unfit-rows.ts';

const STAGED = 'pg_temp.sluice_staged';
const TRANSFORMED = 'pg_temp.sluice_transformed';

export interface MakeAgainRequest {
  readonly run: RunRef;
  /** One partition, or all of the run. */
  readonly partition: number | null;
  readonly key: readonly string[];
  readonly signal: AbortSignal;
}

/** @throws PermanentError `SourceChanged` where a file is not the one that was planned */
export async function withRowsMadeAgain<T>(
  dependencies: Dependencies,
  planned: PlannedRun,
  { run, partition, key, signal }: MakeAgainRequest,
  work: (made: ComparableRows) => Promise<T>,
): Promise<T> {
  const { database, pipeline, plan } = planned;
  const partitions = await readLoaded(database, run.key, partition);
  return await database.transaction(async (client) => {
    await createTemporaryStaging(client, STAGED, plan.staged);
    for (const { id, plan: bounds } of partitions) {
      await setPartition(client, id);
      await copyAgain(client, dependencies, planned, bounds, signal);
    }
    if (plan.direct) await takeQuarantinedOut(client, run.key);
    const table = pipeline.sqlTransform ? TRANSFORMED : STAGED;
    if (pipeline.sqlTransform) await createTemporaryStaging(client, TRANSFORMED, plan.loaded);
    // What was one unit of the run is one here.
    const units = pipeline.commit === 'run' ? [null] : partitions.map(({ id }) => id);
    for (const unit of units) {
      if (pipeline.sqlTransform) await transformAgain(client, planned, pipeline.sqlTransform.text, unit);
      await moveUnfitRows(client, { run, plan, pipeline, partition: unit, table, source: null, quarantine: false });
    }
    const transaction = {
      query: async <Row extends object>(text: string, values: unknown[] = []) => (await client.query<Row>(text, values)).rows,
    };
    const columns = plan.loaded.map((column) => ({ ...column, value: `r.${quoteName(column.name)}` }));
    return await work(new HashedRows(transaction, { from: `${table} as r`, where: 'true', columns, key }));
  });
}

/** What the target refused when chunks went right into it: nobody else knows which rows those were. */
async function takeQuarantinedOut(client: Connection, runKey: string): Promise<void> {
  await client.query(
    `delete from ${STAGED} s using sluice.quarantine q
     where q.run_key = $1 and q.partition = s.${PARTITION_COLUMN} and q.position = s.${POSITION_COLUMN}`,
    [runKey],
  );
}

/** Rows that were refused are refused again; they are in quarantine already. */
async function copyAgain(
  client: Connection,
  dependencies: Dependencies,
  { pipeline, plan }: PlannedRun,
  planned: PlannedPartition,
  signal: AbortSignal,
): Promise<void> {
  const source = dependencies.source(pipeline.source);
  await source.verify(planned, signal);
  const writer = new ChunkWriter({ name: STAGED, marked: true, logged: false }, { source, pipeline, plan, planned });
  const size = new ChunkSize(pipeline.chunk);
  let position: Json = null;
  for (let last = false; !last; ) {
    signal.throwIfAborted();
    const began = performance.now();
    const from: Json = position;
    await client.query('savepoint chunk');
    const undo = async () => await client.query('rollback to savepoint chunk');
    const chunk: CopiedChunk = await smallEnough(size, async (limit) => {
      await undo();
      return await writer.write(client, from, limit).catch(async (error) => {
        if (!needsCare(error)) throw error;
        await undo();
        return await writer.writeCarefully(client, from, limit);
      });
    });
    await client.query('release savepoint chunk');
    size.learn({ rows: chunk.rowsRead, rejected: chunk.rejected.length, ms: performance.now() - began });
    ({ position, last } = chunk);
    await faultPoint('verify:copied', client);
  }
  await source.verify(planned, signal);
}

/** The same statement as the run's, over the same rows. */
async function transformAgain(client: Connection, { plan }: PlannedRun, text: string, partition: number | null): Promise<void> {
  await setPartition(client, partition ?? 0);
  await client.query(
    `insert into ${TRANSFORMED} (${columnList(plan.loaded)})
     with staging as (select ${columnList(plan.staged)} from ${STAGED} where ${ofUnit(partition)})
     select ${plan.loaded.map((column) => `transformed.${quoteName(column.name)}::${column.sqlType}`).join(', ')} from (${text}) as transformed`,
  );
}
