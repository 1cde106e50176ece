/** What must be true when all runs of a round have ended. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../src/connectors/postgres/database.ts';
import { STAGING_SCHEMA } from '../src/ledger/staging.ts';
import type { ExpectedLoad } from './data.ts';
import type { EndedRun } from './runs.ts';
import type { Scene } from './scene.ts';

export interface Verdict {
  /** In whole sentences; empty where all is right. */
  readonly problems: readonly string[];
  readonly rowsLost: number;
  readonly rowsDuplicated: number;
}

export interface Patience {
  /** How long it may take until nothing is left. */
  readonly tidyMs: number;
  /** How long a session may be idle. */
  readonly idleSeconds: number;
}

/** A pool closes a session that nobody has wanted for ten seconds. */
const PATIENCE: Patience = { tidyMs: 60_000, idleSeconds: 30 };

export async function verify(
  scene: Pick<Scene, 'source' | 'loads'>,
  target: Database,
  runs: readonly EndedRun[],
  patience = PATIENCE,
): Promise<Verdict> {
  const problems: string[] = [];
  let rowsLost = 0;
  let rowsDuplicated = 0;
  for (const run of runs) {
    const load = scene.loads.find(({ pipeline }) => pipeline === run.pipeline) as ExpectedLoad;
    const found = await verifyRun(scene.source, target, run, load);
    problems.push(...found.problems.map((problem) => `${run.id}: ${problem}`));
    rowsLost += found.rowsLost;
    rowsDuplicated += found.rowsDuplicated;
  }
  problems.push(...(await untilTidy(scene.source, target, patience)));
  return { problems, rowsLost, rowsDuplicated };
}

async function verifyRun(source: Database, target: Database, run: EndedRun, load: ExpectedLoad): Promise<Verdict> {
  const problems: string[] = [];
  if (run.status !== 'COMPLETED') problems.push(`Temporal says ${run.status}: ${run.failure}`);
  const [ledger] = await target.query<{ run_key: string; status: string }>(
    `select run_key, status from sluice.runs where workflow_id = $1 order by planned_at desc limit 1`,
    [run.id],
  );
  if (ledger?.status !== 'succeeded') problems.push(`the ledger says ${ledger?.status ?? 'nothing'}`);

  const [expected, found] = await Promise.all([contentOf(source, load.expected), contentOf(target, run.table)]);
  let rowsLost = 0;
  let rowsDuplicated = 0;
  if (expected.checksum !== found.checksum || expected.rows !== found.rows) {
    rowsLost = Math.max(expected.distinct - found.distinct, 0);
    rowsDuplicated = Math.max(found.rows - found.distinct - (expected.rows - expected.distinct), 0);
    problems.push(
      `${found.rows} rows (${found.distinct} different ones) with checksum ${found.checksum} are not the expected ${expected.rows} with ${expected.checksum}, as ${found.example} and ${expected.example}`,
    );
  }
  if (run.summary && run.summary.rowsLoaded !== expected.rows)
    problems.push(`it says that it loaded ${run.summary.rowsLoaded} rows, and it were ${expected.rows}`);
  if (run.summary && load.pipeline === 'departures' && run.summary.replicated !== true) problems.push('it ended before a standby had it');

  const rows = await target.query<{ record: string }>(
    `select encode(record, 'hex') as record from sluice.quarantine where run_key = $1 order by 1`,
    [ledger?.run_key ?? ''],
  );
  if (rows.map(({ record }) => record).join() !== load.quarantine.join()) {
    problems.push(`${rows.length} rows are in quarantine, and not the ${load.quarantine.length} bad ones`);
  }
  return { problems, rowsLost, rowsDuplicated };
}

interface Content {
  readonly rows: number;
  readonly distinct: number;
  readonly checksum: string;
  /** The row whose hash is the least: a look at what differs. */
  readonly example: string;
}

/** Does not depend on the order of rows, and does on duplicates. @param relation a table, or a query in parentheses */
export async function contentOf(database: Database, relation: string): Promise<Content> {
  if (/^\w+$/.test(relation)) {
    const [there] = await database.query<{ there: boolean }>('select to_regclass($1) is not null as there', [relation]);
    if (!there?.there) return { rows: 0, distinct: 0, checksum: 'none: there is no such table', example: '' };
  }
  const [row] = await database.query<{ rows: string; distinct: string; checksum: string | null; example: string | null }>(
    `select count(*) as rows, count(distinct h) as distinct, sum(h::numeric)::text as checksum,
            (array_agg(r order by h))[1] as example
     from (select hashtextextended(r::text, 0) as h, r::text as r from ${relation} as r) as hashed`,
  );
  return {
    rows: Number(row?.rows ?? 0),
    distinct: Number(row?.distinct ?? 0),
    checksum: row?.checksum ?? '0',
    example: row?.example ?? '',
  };
}

/** What may be there for a moment, and not for longer. */
async function untilTidy(source: Database, target: Database, { tidyMs, idleSeconds }: Patience): Promise<string[]> {
  const deadline = Date.now() + tidyMs;
  for (;;) {
    const left = await leftOver(source, target, idleSeconds);
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(500);
  }
}

async function leftOver(source: Database, target: Database, idleSeconds: number): Promise<string[]> {
  const tables = await target.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = $1 order by 1`, [
    STAGING_SCHEMA,
  ]);
  const sessions = (await Promise.all([source, target].map((each) => sessionsLeft(each, idleSeconds)))).flat();
  const slots = await target.query<{ name: string }>(
    `select slot_name as name from pg_replication_slots where slot_name not in ('pg1', 'pg2')`,
  );
  return [
    ...tables.map(({ name }) => `staging table ${name} is left`),
    ...new Set(sessions),
    ...slots.map(({ name }) => `replication slot ${name} is left`),
  ];
}

/** Of the whole server: in a transaction, though no run is open, or idle for longer than a pool keeps them. */
async function sessionsLeft(database: Database, idleSeconds: number): Promise<string[]> {
  const rows = await database.query<{ query: string; state: string; database: string }>(
    `select left(query, 80) as query, state, datname as database from pg_stat_activity
     where application_name like 'sluice%' and pid <> pg_backend_pid()
       and (state <> 'idle' and xact_start < now() - interval '2 seconds' or state = 'idle' and state_change < now() - make_interval(secs => $1))`,
    [idleSeconds],
  );
  return rows.map(({ query, state, database: name }) => `a session is left in ${name} (${state}): ${query}`);
}

/** Takes the tables of runs that were found right away, so that the database stays small. */
export async function dropTargets(target: Database, runs: readonly EndedRun[]): Promise<void> {
  await target.query(`drop table if exists ${runs.map(({ table }) => table).join(', ')}`);
}
