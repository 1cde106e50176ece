/** Runs in two regions: started, watched, and looked at when they have ended. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/client/connect.ts';
import type { Database } from '../../src/connectors/postgres/database.ts';
import { stageWorkflowId } from '../../src/contracts/names.ts';
import { contentOf } from '../verify.ts';
import { type RegionsScene, ROWS, until } from './scene.ts';

export interface RegionRun {
  readonly id: string;
  readonly table: string;
  readonly rows: number;
}

/** A commit as a ledger has it. */
export interface Commit {
  readonly run: string;
  readonly unit: string;
  readonly rows: number;
  /** Seconds of the clock. */
  readonly at: number;
}

const ENDED_MS = 180_000;
let started = 0;

export async function startRun(scene: RegionsScene, pipeline: 'by-partition' | 'at-once', rows = ROWS): Promise<RegionRun> {
  started += 1;
  const table = `${pipeline.replace('-', '_')}_${started}`;
  const id = `regions-${started}`;
  await scene.sluice('run', pipeline, '--id', id, '--param', `table=${table}`, '--param', `rows=${rows}`, '--detach');
  return { id, table, rows };
}

/** The commits of runs that a region's ledger has, oldest first. */
export async function commitsIn(database: Database, runs: readonly RegionRun[]): Promise<Commit[]> {
  return await database.query<Commit & Record<string, unknown>>(
    `select r.workflow_id as run, unit, coalesce((result ->> 'rowsLoaded')::float8, 0) as rows, extract(epoch from committed_at)::float8 as at
     from sluice.commits join sluice.runs r using (run_key) where r.workflow_id = any ($1) order by committed_at`,
    [runs.map(({ id }) => id)],
  );
}

export async function untilCommits(database: Database, runs: readonly RegionRun[], count: number): Promise<void> {
  await until(`${count} partitions are committed`, async () => (await commitsIn(database, runs)).length >= count, ENDED_MS);
}

export async function untilEnded(scene: RegionsScene, { id }: RegionRun): Promise<void> {
  await until(
    `${id} has ended`,
    async () => {
      const { status } = await scene.sluice('show', id).catch(() => ({ status: null }));
      if (status === 'failed' || status === 'cancelled') return true;
      return status === 'succeeded';
    },
    ENDED_MS,
  );
}

/** What is wrong with runs that have ended: their rows, their status, and what their histories say of the way there. */
export async function whatIsWrong(scene: RegionsScene, runs: readonly RegionRun[]): Promise<string[]> {
  const target = scene.target(await scene.active());
  const problems: string[] = [];
  for (const run of runs) {
    const { status, reason } = await scene.sluice('show', run.id);
    if (status !== 'succeeded') problems.push(`${run.id}: it has ${status}: ${JSON.stringify(reason)}`);
    const expected = await contentOf(scene.source, `(select * from departures where id <= ${run.rows})`);
    const found = await contentOf(target, run.table);
    if (found.checksum !== expected.checksum || found.rows !== expected.rows) {
      problems.push(`${run.id}: ${found.rows} rows (${found.distinct} different ones) are not the expected ${expected.rows}`);
    }
    problems.push(...(await nonDeterministic(scene, run)));
  }
  return problems;
}

async function nonDeterministic(scene: RegionsScene, { id }: RegionRun): Promise<string[]> {
  const sluice = await connect({ env: scene.env });
  try {
    const problems: string[] = [];
    for (const workflowId of [id, ...(['extract', 'transform', 'load'] as const).map((stage) => stageWorkflowId(id, stage))]) {
      const { events } = await sluice.temporal.workflow.getHandle(workflowId).fetchHistory();
      const failed = (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failure }) => failure?.failure?.message ?? []);
      problems.push(...failed.filter((message) => /determinis/i.test(message)).map((message) => `${workflowId}: ${message}`));
    }
    return problems;
  } finally {
    await sluice.close();
  }
}

/** Watches all ledgers for anything new: a chunk or a commit. */
export class Moves {
  readonly #targets: readonly Database[];
  #last = Date.now();
  /** Of the newest that any ledger has had. What a standby that is promoted tells, its primary told before. */
  #newest = 0;
  #stopped = false;
  readonly #watching: Promise<void>;
  /** The longest time in which nothing moved. */
  longestMs = 0;

  constructor(scene: RegionsScene) {
    this.#targets = scene.regions.all.map(({ name }) => scene.target(name));
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watching;
    this.longestMs = Math.max(this.longestMs, Date.now() - this.#last);
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const newest = Math.max(...(await Promise.all(this.#targets.map(newestIn))));
      if (newest > this.#newest) {
        this.#newest = newest;
        this.longestMs = Math.max(this.longestMs, Date.now() - this.#last);
        this.#last = Date.now();
      }
      await delay(100);
    }
  }
}

/** When the last chunk or commit was written, in milliseconds since 1970; 0 where there is none. */
async function newestIn(target: Database): Promise<number> {
  const [row] = await target
    .query<{ newest: number | null }>(
      `select extract(epoch from greatest((select max(committed_at) from sluice.commits), max(recorded_at)))::float8 * 1000 as newest
       from sluice.chunks where not pg_is_in_recovery()`,
    )
    // Unlogged tables cannot be asked on a standby.
    .catch(() => []);
  return row?.newest ?? 0;
}
