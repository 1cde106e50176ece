/** What the ledger knows of a run, for `sluice show`. */
import { Database } from '../connectors/postgres/database.ts';
import type { QuarantineReason } from '../contracts/run.ts';
import { hasLedger } from '../ledger/migrations.ts';
import { quarantineReasons } from '../ledger/quarantine.ts';
import { readNewestPlan } from '../ledger/run-plan.ts';

export interface LedgerPartition {
  readonly name: string;
  /** `loaded`: in the target. `staged`: whole, in staging. `partial`: some chunks. `planned`: nothing yet. */
  readonly status: 'planned' | 'partial' | 'staged' | 'loaded';
  /** Null where the run has ended and its chunk records are collected. */
  readonly chunks: number | null;
  readonly rowsRead: number | null;
  readonly rowsQuarantined: number;
  /** How often an attempt has taken the partition over. */
  readonly attempts: number | null;
}

export interface LedgerRun {
  /** Key in the tables of the schema `sluice`. */
  readonly runKey: string;
  readonly source: string;
  readonly target: string;
  readonly reason: string | null;
  /** At most {@link PARTITIONS_SHOWN}: those that are not loaded first. */
  readonly partitions: readonly LedgerPartition[];
  /** How many there are of each status. */
  readonly partitionCounts: Readonly<Record<string, number>>;
  readonly quarantine: readonly QuarantineReason[];
}

export const PARTITIONS_SHOWN = 200;

const COLLECTED = { chunks: null, rowsRead: null, attempts: null };

/** Null where the ledger does not know the run. */
export async function readLedgerRun(databaseUrl: string, runKey: string): Promise<LedgerRun | null> {
  const database = new Database('target', databaseUrl, { max: 1 });
  try {
    const run = (await hasLedger(database)) ? await readNewestPlan(database, runKey) : null;
    if (!run) return null;
    const [ended] = await database.query<{ reason: string | null }>('select reason from sluice.runs where run_key = $1', [run.runKey]);
    const partitions = await database.query<LedgerPartition & { of_status: string }>(
      `with of_run as (
         select p.partition, p.name,
                case when exists (select 1 from sluice.commits k where k.run_key = p.run_key and k.unit in ('load', 'load:' || p.partition)) then 'loaded'
                     when c.whole then 'staged' when c.chunks > 0 then 'partial' else 'planned' end as status,
                coalesce(c.chunks, 0)::float8 as chunks, coalesce(c.read, 0)::float8 as "rowsRead",
                coalesce(q.rows, 0)::float8 as "rowsQuarantined", coalesce(f.epoch, 0) as attempts
         from sluice.partitions p
         left join (select partition, count(*) as chunks, bool_or(last) as whole, sum(rows_read) as read
                    from sluice.chunks where run_key = $1 group by 1) c using (partition)
         left join (select partition, count(*) as rows from sluice.quarantine where run_key = $1 group by 1) q using (partition)
         left join sluice.fences f on f.run_key = p.run_key and f.unit = 'copy:' || p.partition
         where p.run_key = $1
       )
       select name, status, chunks, "rowsRead", "rowsQuarantined", attempts, count(*) over (partition by status)::text as of_status
       from of_run order by status = 'loaded', status = 'staged', partition limit $2`,
      [run.runKey, PARTITIONS_SHOWN],
    );
    return {
      runKey: run.runKey,
      source: run.plan.source,
      target: run.plan.target,
      reason: ended?.reason ?? null,
      partitions: partitions.map(({ of_status: _, ...each }) =>
        each.chunks === 0 && each.status === 'loaded' ? { ...each, ...COLLECTED } : each,
      ),
      partitionCounts: Object.fromEntries(partitions.map((each) => [each.status, Number(each.of_status)])),
      quarantine: await quarantineReasons(database, run.runKey, null),
    };
  } finally {
    await database.close();
  }
}
