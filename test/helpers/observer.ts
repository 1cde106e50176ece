/** An observer in the database: what attempts did, however they ended. The ledger itself forgets it when a run ends. */
import { Database } from '../../src/connectors/postgres/database.ts';
import { migrateLedger } from '../../src/ledger/migrations.ts';
import { query } from './servers.ts';

/** Partitions that it tells apart. */
const PARTITIONS = 31;

/** Makes the ledger and the observer. Call it before the first worker starts. */
export async function observe(url: string): Promise<void> {
  const database = new Database('target', url);
  await migrateLedger(database);
  await database.close();
  // A sequence counts also what is rolled back.
  const sequences = Array.from({ length: PARTITIONS }, (_, partition) => `create sequence watch.copied_${partition};`).join(' ');
  await query(
    url,
    `create schema watch; ${sequences}
     create table watch.chunks (partition int, chunk int, epoch int, at timestamptz default clock_timestamp());
     create function watch.see_chunk() returns trigger language plpgsql as $$ begin
       perform nextval('watch.copied_' || new.partition);
       insert into watch.chunks (partition, chunk, epoch) values (new.partition, new.chunk, new.epoch);
       return null;
     end $$;
     create trigger see_chunk after insert on sluice.chunks for each row execute function watch.see_chunk();
     create table watch.attempts (unit text, epoch int, holder text, at timestamptz default clock_timestamp());
     create function watch.see_attempt() returns trigger language plpgsql as $$ begin
       insert into watch.attempts (unit, epoch, holder) values (new.unit, new.epoch, new.holder);
       return null;
     end $$;
     create trigger see_attempt after insert or update of epoch on sluice.fences for each row execute function watch.see_attempt();`,
  );
}

/** What happened to a partition. */
export interface Copied {
  readonly partition: number;
  /** Chunks that it has. */
  readonly chunks: number;
  /** Chunks that were committed, those committed again counted again. */
  readonly committed: number;
  /** Chunks that were copied to their end, whether committed or rolled back. */
  readonly copied: number;
  /** Attempts that committed a chunk. */
  readonly attempts: number;
}

export async function copiedPartitions(url: string): Promise<Copied[]> {
  return await query<Copied & Record<string, unknown>>(
    url,
    `select partition, count(distinct chunk)::int as chunks, count(*)::int as committed, count(distinct epoch)::int as attempts,
            (select last_value::int from pg_sequences where schemaname = 'watch' and sequencename = 'copied_' || partition) as copied
     from watch.chunks group by partition order by partition`,
  );
}

export async function committedChunks(url: string): Promise<number> {
  const [row] = await query<{ chunks: number }>(url, 'select count(*)::int as chunks from watch.chunks');
  return row?.chunks ?? 0;
}

/** How many attempts took over each unit, by name. */
export async function attemptsAt(url: string): Promise<Record<string, number>> {
  const rows = await query<{ unit: string; attempts: number }>(
    url,
    'select unit, max(epoch)::int as attempts from watch.attempts group by unit order by unit',
  );
  return Object.fromEntries(rows.map(({ unit, attempts }) => [unit, attempts]));
}
