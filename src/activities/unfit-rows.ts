/** Rows in staging that the target would refuse: null where it may not be, or a key that another row of the unit has. */
import type { Connection } from '../connectors/postgres/database.ts';
import { quoteName, quoteText } from '../connectors/postgres/database.ts';
import type { RejectedRow, Source } from '../connectors/source.ts';
import type { RunRef } from '../contracts/run.ts';
import { FOUND_IN_STAGING, forgetQuarantineFoundInStaging, quarantineRows } from '../ledger/quarantine.ts';
import { type RunPlan, readPartitionOn } from '../ledger/run-plan.ts';
import { columnList, ofUnit, PARTITION_COLUMN } from '../ledger/staging.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import { POSITION_COLUMN } from '../validation/encode-records.ts';

export interface UnfitRowsRequest {
  readonly run: RunRef;
  readonly plan: RunPlan;
  readonly pipeline: BoundPipeline;
  /** One partition, or the whole run. */
  readonly partition: number | null;
  /** The table that will be loaded. */
  readonly table: string;
  /** For the bytes as received; null where the rows are not the source's. */
  readonly source: Source | null;
  /** False takes the rows out and keeps none of them. @default true */
  readonly quarantine?: boolean;
}

/** Above this many rows the quarantine keeps them as JSON instead of reading the source again. */
const READ_AGAIN_AT_MOST = 10_000;

/**
 * Moves unfit rows to quarantine. Of rows with the same key the one with the greatest cursor stays, or else the first of the source.
 *
 * @returns rows moved
 */
export async function moveUnfitRows(client: Connection, request: UnfitRowsRequest): Promise<number> {
  const { pipeline, plan, table, partition, run, quarantine = true } = request;
  const only = ofUnit(partition);
  if (quarantine) await forgetQuarantineFoundInStaging(client, run.key, partition);

  const found: FoundRow[] = [];
  const required = plan.loaded.filter((column) => column.notNull && !column.neverNull).map((column) => column.name);
  if (required.length > 0) {
    const isNull = required.map((name) => `s.${quoteName(name)} is null`);
    const firstNull = required.map((name, nth) => `when ${isNull[nth]} then ${quoteText(name)}`);
    const deleted = await client.query<FoundRow>(
      `delete from ${table} as s where ${only} and (${isNull.join(' or ')})
       returning ${foundColumns(plan)}, case ${firstNull.join(' ')} end as "column"`,
    );
    found.push(...deleted.rows.map((row) => ({ ...row, reason: 'null is not allowed' })));
  }

  const key = pipeline.target.key;
  if (key && key.length > 0 && !plan.distinctKeys && !plan.targetRefusesTwins) {
    const names = columnList(key.map((name) => ({ name })));
    const twice = await client.query(`select 1 from ${table} where ${only} group by ${names} having count(*) > 1 limit 1`);
    if (twice.rowCount) {
      const cursor = pipeline.incremental && !pipeline.sqlTransform ? `${quoteName(pipeline.incremental.cursor)} desc nulls last, ` : '';
      const deleted = await client.query<FoundRow>(
        `delete from ${table} as s using (
           select ctid as place, row_number() over (partition by ${names} order by ${cursor}${PARTITION_COLUMN}, ${POSITION_COLUMN}, ctid) as nth
           from ${table} where ${only}
         ) as ranked
         where s.ctid = ranked.place and ranked.nth > 1 returning ${foundColumns(plan)}`,
      );
      found.push(...deleted.rows.map((row) => ({ ...row, column: key.join(', '), reason: 'duplicate key in this run' })));
    }
  }

  if (!quarantine) return found.length;
  for (const [id, rows] of groupByPartition(found)) {
    const bytes = await readAgain(client, request, id, rows);
    const rejected = rows.map(
      (row): RejectedRow => ({
        position: row.position === null ? 0 : Number(row.position),
        column: row.column,
        reason: row.reason,
        record: (row.position === null ? undefined : bytes.get(Number(row.position))) ?? Buffer.from(row.record),
      }),
    );
    await quarantineRows(client, run.key, id, FOUND_IN_STAGING, rejected);
  }
  return found.length;
}

interface FoundRow {
  readonly partition: number;
  readonly position: string | null;
  readonly record: string;
  readonly column: string;
  readonly reason: string;
}

function foundColumns(plan: RunPlan): string {
  // Not jsonb, which refuses some texts that json keeps (`\u0000`).
  const shown = `(select row_to_json(r)::text from (select ${columnList(plan.loaded, 's.')}) as r)`;
  return `s.${PARTITION_COLUMN} as partition, s.${POSITION_COLUMN} as position, ${shown} as record`;
}

function groupByPartition(rows: readonly FoundRow[]): Map<number, FoundRow[]> {
  const groups = new Map<number, FoundRow[]>();
  for (const row of rows) {
    const group = groups.get(row.partition);
    if (group) group.push(row);
    else groups.set(row.partition, [row]);
  }
  return groups;
}

async function readAgain(
  client: Connection,
  request: UnfitRowsRequest,
  partition: number,
  rows: readonly FoundRow[],
): Promise<Map<number, Buffer>> {
  const positions = rows.flatMap((row) => (row.position === null ? [] : [Number(row.position)]));
  if (!request.source?.readAt || positions.length === 0 || positions.length > READ_AGAIN_AT_MOST) return new Map();
  const planned = await readPartitionOn(client, request.run.key, partition);
  return await request.source.readAt(
    planned,
    positions.sort((a, b) => a - b),
  );
}
