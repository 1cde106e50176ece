/**
 * The ledger's tables, by numbered migrations. Workers that start together on an empty database run each once: the first takes a
 * transaction-level advisory lock, the others wait for it and find nothing left to do.
 */
import { type Database, quoteName } from '../connectors/postgres/database.ts';
import { requireSchemaGrants } from '../connectors/postgres/schema-grants.ts';
import { PermanentError } from '../errors.ts';
import { STAGING_SCHEMA } from './staging.ts';

export const LEDGER_SCHEMA = 'sluice';

/** Key of the advisory lock: "sluice" in hexadecimal. */
const MIGRATION_LOCK = '0x736c75696365';

const MIGRATIONS: readonly string[] = [
  // 1: runs and their plan, fences, chunks, transforms, commits, watermarks, quarantine.
  `
  create table sluice.runs (
    run_key      text primary key,
    workflow_id  text not null,
    pipeline     text not null,
    fingerprint  text not null,
    plan         jsonb not null,
    status       text not null default 'running',
    reason       text,
    totals       jsonb,
    planned_at   timestamptz not null default now(),
    ended_at     timestamptz
  );
  create index runs_by_pipeline on sluice.runs (pipeline, planned_at);
  create index runs_by_workflow on sluice.runs (workflow_id, planned_at);
  comment on table sluice.runs is 'One row for each run: what its plan froze, and how it ended.';

  create table sluice.partitions (
    run_key    text not null references sluice.runs on delete cascade,
    partition  integer not null,
    name       text not null,
    plan       jsonb not null,
    primary key (run_key, partition)
  );
  comment on table sluice.partitions is 'The partitions of a run with their bounds, as planned.';

  create table sluice.fences (
    run_key    text not null,
    unit       text not null,
    epoch      integer not null,
    fruitless  integer not null default 0,
    failure    text,
    holder     text not null,
    taken_at   timestamptz not null default now(),
    primary key (run_key, unit)
  );
  comment on table sluice.fences is 'The attempt that may write for a unit of work: an older epoch may not.';

  create unlogged table sluice.chunks (
    run_key           text not null,
    partition         integer not null,
    chunk             integer not null,
    epoch             integer not null,
    position          jsonb not null,
    last              boolean not null,
    rows_read         bigint not null,
    rows_staged       bigint not null,
    rows_quarantined  bigint not null,
    recorded_at       timestamptz not null default clock_timestamp(),
    primary key (run_key, partition, chunk)
  );
  comment on table sluice.chunks is 'Chunks in staging. Unlogged as staging is: a crash of the server empties both.';

  create unlogged table sluice.transforms (
    run_key           text not null,
    unit              text not null,
    rows_in           bigint not null,
    rows_out          bigint not null,
    rows_quarantined  bigint not null,
    checked           boolean not null default false,
    primary key (run_key, unit)
  );
  comment on table sluice.transforms is 'Units whose staged rows were found complete, deduplicated, transformed and checked. Unlogged as staging is.';

  create table sluice.commits (
    run_key       text not null,
    unit          text not null,
    result        jsonb not null,
    committed_at  timestamptz not null default now(),
    primary key (run_key, unit)
  );
  comment on table sluice.commits is 'The proof that a unit is in the target: written in the transaction that put it there.';

  create table sluice.watermarks (
    pipeline      text primary key,
    value         jsonb not null,
    run_key       text not null,
    committed_at  timestamptz not null default now()
  );
  comment on table sluice.watermarks is 'How far an incremental pipeline has committed: the (cursor, key) of the last row.';

  create table sluice.quarantine (
    run_key         text not null,
    partition       integer not null,
    chunk           integer not null,
    ordinal         integer not null,
    position        bigint,
    "column"        text,
    reason          text not null,
    record          bytea not null,
    quarantined_at  timestamptz not null default now(),
    primary key (run_key, partition, chunk, ordinal)
  );
  comment on table sluice.quarantine is 'Rows that failed the row schema or a check, as received. Chunk -1: found in staging (a key that is null or there twice).';
  `,
  // 2: records of chunks that are in a logged table are logged as well.
  `
  create unlogged table sluice.chunks_before as table sluice.chunks;
  drop table sluice.chunks;
  create table sluice.chunks (
    run_key           text not null,
    partition         integer not null,
    chunk             integer not null,
    epoch             integer not null,
    position          jsonb not null,
    last              boolean not null,
    rows_read         bigint not null,
    rows_staged       bigint not null,
    rows_quarantined  bigint not null,
    recorded_at       timestamptz not null default clock_timestamp(),
    logged            boolean not null default false,
    primary key (run_key, partition, chunk, logged)
  ) partition by list (logged);
  create unlogged table sluice.chunks_in_staging partition of sluice.chunks for values in (false);
  create table sluice.chunks_beside partition of sluice.chunks for values in (true);
  insert into sluice.chunks select *, false from sluice.chunks_before;
  drop table sluice.chunks_before;
  comment on table sluice.chunks is 'Chunks that were copied: rows and record in one transaction.';
  comment on table sluice.chunks_in_staging is 'Unlogged as staging is: a crash of the server empties both.';
  comment on table sluice.chunks_beside is 'Logged as the tables are that first loads build beside their targets.';
  `,
  // 3: when the end of a run was acknowledged by the synchronous standby.
  `
  alter table sluice.runs add column acknowledged_at timestamptz;
  `,
  // 4: which of several regions may write.
  `
  create table sluice.regions (
    id      integer primary key default 1 check (id = 1),
    term    integer not null,
    region  text not null,
    also    text,
    since   timestamptz not null default now()
  );
  comment on table sluice.regions is 'The region whose workers may write, and how often another took over. Empty where there is one region only.';
  comment on column sluice.regions.also is 'The region that has handed over: what its workers have in hand they may bring to an end.';
  create function sluice.require_region(worker text) returns void language plpgsql as $$
  declare
    active sluice.regions;
  begin
    select * into active from sluice.regions for share;
    if worker not in (active.region, coalesce(active.also, active.region)) then
      raise exception 'region % has taken over from region % (term %, since %); workers of region % change nothing',
        active.region, worker, active.term, active.since, worker using errcode = 'SLU01';
    end if;
  end $$;
  comment on function sluice.require_region is 'What every writing transaction of a worker begins with that knows its region.';
  `,
];

/** Whether a run has ever been planned in this database. */
export async function hasLedger(database: Pick<Database, 'query'>): Promise<boolean> {
  const [row] = await database.query<{ there: boolean }>(`select to_regclass('${LEDGER_SCHEMA}.runs') is not null as there`);
  return row?.there ?? false;
}

/**
 * Brings the ledger to this version. May be called any number of times and by any number of workers at once.
 *
 * @throws PermanentError `MissingGrant` where the role may not create the schemas and nobody has created them
 */
export async function migrateLedger(database: Database): Promise<void> {
  await requireSchema(database, LEDGER_SCHEMA, ['USAGE']);
  await requireSchema(database, STAGING_SCHEMA, ['USAGE', 'CREATE']);
  const [found] = await database.query<{ owner: string; role: string; allowed: boolean }>(
    `select pg_get_userbyid(relowner)::text as owner, current_user::text as role, has_table_privilege(oid, 'SELECT') as allowed
     from pg_class where oid = to_regclass('sluice.migrations')`,
  );
  if (found && !found.allowed) {
    throw new PermanentError(
      'MissingGrant',
      `${database.label}: the ledger in schema "${LEDGER_SCHEMA}" belongs to role "${found.owner}", and role "${found.role}" may not use it. ` +
        `Let all workers connect as one role, or run: GRANT ${quoteName(found.owner)} TO ${quoteName(found.role)};`,
    );
  }
  if (found) {
    const [at] = await database.query<{ version: number }>('select coalesce(max(version), 0)::int as version from sluice.migrations');
    if ((at?.version ?? 0) >= MIGRATIONS.length) return;
  }
  await requireSchema(database, LEDGER_SCHEMA, ['CREATE']);
  await database.transaction(
    async (client) => {
      await client.query(`select pg_advisory_xact_lock(('x' || lpad($1, 16, '0'))::bit(64)::bigint)`, [MIGRATION_LOCK.slice(2)]);
      // CREATE SCHEMA IF NOT EXISTS asks for the grant even where the schema exists.
      for (const schema of [LEDGER_SCHEMA, STAGING_SCHEMA]) {
        const exists = await client.query('select 1 from pg_namespace where nspname = $1', [schema]);
        if (exists.rowCount === 0) await client.query(`create schema ${schema}`);
      }
      await client.query(
        'create table if not exists sluice.migrations (version integer primary key, applied_at timestamptz not null default now())',
      );
      const { rows } = await client.query<{ version: number }>('select coalesce(max(version), 0)::int as version from sluice.migrations');
      const done = rows[0]?.version ?? 0;
      for (const [index, statements] of MIGRATIONS.entries()) {
        const version = index + 1;
        if (version <= done) continue;
        await client.query(statements);
        await client.query('insert into sluice.migrations (version) values ($1)', [version]);
      }
    },
    { lockTimeoutMs: 60_000, unguarded: true },
  );
}

/** The role may use the schema as it has to, or create it. */
async function requireSchema(database: Database, schema: string, privileges: readonly ('USAGE' | 'CREATE')[]): Promise<void> {
  if (await requireSchemaGrants(database, database.label, schema, privileges)) return;
  const [row] = await database.query<{ allowed: boolean; database: string; role: string }>(
    `select has_database_privilege(current_database(), 'CREATE') as allowed, current_database()::text as database, current_user::text as role`,
  );
  if (!row || row.allowed) return;
  const role = quoteName(row.role);
  throw new PermanentError(
    'MissingGrant',
    `${database.label}: there is no schema "${schema}", and role "${row.role}" lacks CREATE on database "${row.database}". ` +
      `Let an administrator run: CREATE SCHEMA ${schema}; GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}; or: GRANT CREATE ON DATABASE ${quoteName(row.database)} TO ${role};`,
  );
}
