/** What the ledger says, for tests. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { migrateLedger } from '../../src/ledger/migrations.ts';
import { query } from './servers.ts';

/** The ledger as the first run would make it, for tests that put gates and triggers on its tables. */
export async function createLedger(url: string): Promise<void> {
  const database = new Database('target', url, { max: 1 });
  await migrateLedger(database).finally(() => database.close());
}

export interface LedgerRun {
  readonly run_key: string;
  readonly status: string;
}

/** The plans of a workflow id, in the order in which they were made. */
export async function runsOf(url: string, workflowId: string): Promise<LedgerRun[]> {
  return await query<LedgerRun & Record<string, unknown>>(
    url,
    'select run_key, status from sluice.runs where workflow_id = $1 order by planned_at',
    [workflowId],
  );
}

/** Names of the staging tables that there are. */
export async function stagingTables(url: string): Promise<string[]> {
  return (await query<{ name: string }>(url, `select tablename as name from pg_tables where schemaname = 'sluice_staging'`)).map(
    (row) => row.name,
  );
}

/** Everything of a run that has to go when it has ended: its staging and the records that vouch for it. */
export async function leftovers(url: string): Promise<Record<string, number>> {
  const [row] = await query<Record<string, number>>(
    url,
    `select (select count(*)::int from pg_tables where schemaname = 'sluice_staging') as tables, (select count(*)::int from sluice.chunks) as chunks,
            (select count(*)::int from sluice.transforms) as transforms, (select count(*)::int from sluice.fences) as fences`,
  );
  return row ?? {};
}

export interface LoggedChunk {
  /** Number of the try: a try that was rolled back leaves a gap. */
  readonly nth: number;
  readonly partition: number;
  readonly chunk: number;
  readonly epoch: number;
  readonly at: number;
}

/** Keeps a copy of every chunk record: those of the ledger go with the run's staging. */
export async function logChunks(url: string): Promise<() => Promise<LoggedChunk[]>> {
  await query(
    url,
    `create sequence chunk_tries;
     create table chunk_log (nth bigint, partition integer, chunk integer, epoch integer, at timestamptz);
     create function log_chunk() returns trigger language plpgsql as
     $$ begin insert into chunk_log values (nextval('chunk_tries'), new.partition, new.chunk, new.epoch, clock_timestamp()); return null; end $$;
     create trigger a_log after insert on sluice.chunks for each row execute function log_chunk()`,
  );
  return async () =>
    await query<LoggedChunk & Record<string, unknown>>(
      url,
      `select nth::int, partition, chunk, epoch, (extract(epoch from at) * 1000)::float8 as at from chunk_log order by nth`,
    );
}
