/**
 * Rows in staging that may not be loaded: those that the schema of a SQL transform's rows refuses, null where the target allows none, or a key that
 * another row of the unit has.
 */
import type { Connection } from '../connectors/postgres/database.ts';
import { quoteName, quoteText } from '../connectors/postgres/database.ts';
import type { Source } from '../connectors/source.ts';
import type { RunRef } from '../contracts/run.ts';
import { FOUND_IN_STAGING, forgetQuarantineFoundInStaging } from '../ledger/quarantine.ts';
import { mayHoldTwins, type RunPlan, readPartitionOn } from '../ledger/run-plan.ts';
import { columnList, ofUnit, PARTITION_COLUMN } from '../ledger/staging.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import { POSITION_COLUMN } from '../validation/encode-records.ts';
import { refusedByOutput } from './judge-output.ts';

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

/** Up to this many rows the quarantine has as the source gave them; of more it keeps what staging shows, as JSON, instead of reading the source again. */
const READ_AGAIN_AT_MOST = 10_000;

/**
 * Moves unfit rows to quarantine. Of rows with the same key the one with the greatest cursor stays, or else the first of the source.
 *
 * @returns rows moved
 */
export async function moveUnfitRows(client: Connection, request: UnfitRowsRequest): Promise<number> {
  const { pipeline, plan, table, partition, quarantine = true } = request;
  const only = ofUnit(partition);
  let moved = await moveRowsRefusedByOutput(client, request);

  const required = plan.loaded.filter((column) => column.notNull && !column.neverNull).map((column) => column.name);
  if (required.length > 0) {
    const isNull = required.map((name) => `s.${quoteName(name)} is null`);
    const firstNull = `case ${required.map((name, nth) => `when ${isNull[nth]} then ${quoteText(name)}`).join(' ')} end`;
    const found = `delete from ${table} as s where ${only} and (${isNull.join(' or ')})`;
    moved += await take(client, request, { ...MARKED, found, column: firstNull, reason: quoteText('null is not allowed') });
  }

  const key = pipeline.target.key;
  if (key && key.length > 0 && mayHoldTwins(plan, partition)) {
    const names = columnList(key.map((name) => ({ name })));
    const twice = await client.query(`select 1 from ${table} where ${only} group by ${names} having count(*) > 1 limit 1`);
    if (twice.rowCount) {
      const cursor = pipeline.incremental && !pipeline.sqlTransform ? `${quoteName(pipeline.incremental.cursor)} desc nulls last, ` : '';
      const found = `delete from ${table} as s using (
           select ctid as place, row_number() over (partition by ${names} order by ${cursor}${PARTITION_COLUMN}, ${POSITION_COLUMN}, ctid) as nth
           from ${table} where ${only}
         ) as ranked
         where s.ctid = ranked.place and ranked.nth > 1`;
      const reason = quoteText('duplicate key in this run');
      moved += await take(client, request, { ...MARKED, found, column: quoteText(key.join(', ')), reason });
    }
  }

  if (quarantine && moved > 0 && moved <= READ_AGAIN_AT_MOST) await keepAsReceived(client, request);
  return moved;
}

/**
 * Moves the rows of a SQL transform that its schema refuses to quarantine, in a table that is built beside its target: all else is refused by that
 * table itself.
 *
 * @returns rows moved
 */
export async function moveRowsRefusedByOutput(client: Connection, request: UnfitRowsRequest): Promise<number> {
  const { run, pipeline, plan, table, partition, quarantine = true } = request;
  if (quarantine) await forgetQuarantineFoundInStaging(client, run.key, partition);
  const { output, sqlTransform } = pipeline;
  if (!output || !sqlTransform) return 0;
  const refused = await refusedByOutput(client, { table, only: ofUnit(partition), output, columns: plan.loaded });
  let moved = 0;
  for (let at = 0; at < refused.length; at += ROWS_A_STATEMENT) {
    const rows = refused.slice(at, at + ROWS_A_STATEMENT);
    const places = [rows.map((row) => row.place), rows.map((row) => row.column), rows.map((row) => row.reason)];
    moved += await take(client, request, {
      found: `delete from ${table} as s using unnest($1::tid[], $2::text[], $3::text[]) as bad (place, named, reason) where s.ctid = bad.place`,
      values: places,
      // What a transform made is no row of the source, and has no position there.
      ...{ partition: String(partition ?? 0), position: 'null::bigint', column: 'bad.named', reason: 'bad.reason' },
    });
  }
  return moved;
}

/** Rows named in one statement. */
const ROWS_A_STATEMENT = 5_000;

/** The rest as expressions over the row `s`. */
interface Unfit {
  /** DELETE of the rows from the table `s`. */
  readonly found: string;
  /** Its parameters. */
  readonly values: readonly unknown[];
  readonly partition: string;
  readonly position: string;
  /** The column that is named. */
  readonly column: string;
  readonly reason: string;
}

/** Of tables whose rows say where they come from. */
const MARKED = { values: [], partition: `s.${PARTITION_COLUMN}`, position: `s.${POSITION_COLUMN}` } as const;

/** The rows do not come to the worker, however many they are. */
async function take(client: Connection, { run, plan, quarantine = true }: UnfitRowsRequest, unfit: Unfit): Promise<number> {
  const { found, values, partition, position, column, reason } = unfit;
  if (!quarantine) return (await client.query(found, [...values])).rowCount ?? 0;
  // Not jsonb, which refuses some texts that json keeps (`\u0000`).
  const shown = `(select row_to_json(r)::text from (select ${columnList(plan.loaded, 's.')}) as r)`;
  const [runKey, chunk] = [`$${values.length + 1}`, `$${values.length + 2}`];
  const { rowCount } = await client.query(
    `with taken as (
       ${found}
       returning ${partition} as partition, ${position} as position, ${shown} as record, ${column} as named, ${reason} as reason
     ), numbered as (
       select *, row_number() over (partition by partition order by position, record) - 1 as nth from taken
     ), before as (
       select partition, max(ordinal) + 1 as ordinals from sluice.quarantine where run_key = ${runKey} and chunk = ${chunk} group by partition
     )
     insert into sluice.quarantine (run_key, partition, chunk, ordinal, position, "column", reason, record)
     select ${runKey}, partition, ${chunk}, nth + coalesce(ordinals, 0), position, named, reason, convert_to(record, 'UTF8')
     from numbered left join before using (partition)`,
    [...values, run.key, FOUND_IN_STAGING],
  );
  return rowCount ?? 0;
}

interface Found {
  readonly partition: number;
  readonly ordinals: number[];
  readonly positions: string[];
}

/** What is in quarantine as JSON becomes the bytes as the source gave them, where it can give them again. */
async function keepAsReceived(client: Connection, { run, partition, source }: UnfitRowsRequest): Promise<void> {
  if (!source?.readAt) return;
  const { rows } = await client.query<Found>(
    `select partition, array_agg(ordinal order by ordinal) as ordinals, array_agg(position::text order by ordinal) as positions
     from sluice.quarantine where run_key = $1 and ($2::int is null or partition = $2) and chunk = $3 and position is not null group by partition`,
    [run.key, partition, FOUND_IN_STAGING],
  );
  for (const { partition: id, ordinals, positions } of rows) {
    const wanted = positions.map(Number);
    const planned = await readPartitionOn(client, run.key, id);
    const bytes = await source.readAt(
      planned,
      [...wanted].sort((a, b) => a - b),
    );
    const received = ordinals.flatMap((ordinal, at) => {
      const record = bytes.get(wanted[at] as number);
      return record ? [{ ordinal, record }] : [];
    });
    await client.query(
      `update sluice.quarantine as q set record = r.record from unnest($4::int[], $5::bytea[]) as r (ordinal, record)
       where q.run_key = $1 and q.partition = $2 and q.chunk = $3 and q.ordinal = r.ordinal`,
      [run.key, id, FOUND_IN_STAGING, received.map(({ ordinal }) => ordinal), received.map(({ record }) => record)],
    );
  }
}
