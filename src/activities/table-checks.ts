/** The pipeline's table checks, each as it is asked in the target database, inside the transaction that marks the unit as checked. */
import { type Connection, quoteName } from '../connectors/postgres/database.ts';
import type { SourceTotals } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import { readLastRowsLoaded } from '../ledger/runs.ts';
import { withRelations } from '../ledger/staging.ts';
import {
  type Check,
  type NotFewerThanCheck,
  type RowCountCheck,
  type SumsMatchSourceCheck,
  shareOf,
  type UniqueCheck,
} from '../pipeline/checks.ts';
import type { PlannedRun } from './planned-run.ts';
import { firstSummed, summedColumns } from './source-totals.ts';

/** A unit whose rows are asked about. */
export interface CheckedUnit {
  readonly planned: PlannedRun;
  readonly runKey: string;
  /** Null for the whole run. */
  readonly partition: number | null;
  /** For messages: `flights: partition 2001-02`. */
  readonly where: string;
  /** Rows to load. */
  readonly rows: number;
  /** What the source says; null where no check needs it. */
  readonly source: SourceTotals | null;
}

/** Offending rows shown in the message of a failed check. */
const SAMPLE_ROWS = 5;
const SAMPLE_CHARACTERS = 300;

/** @throws PermanentError `CheckFailed` */
export async function runTableCheck(client: Connection, unit: CheckedUnit, check: Check): Promise<void> {
  const failed = await failureOf(client, unit, check);
  if (failed === null) return;
  throw new PermanentError('CheckFailed', `${unit.where}: check "${check.name}" failed: ${failed}. Nothing was changed.`);
}

async function failureOf(client: Connection, unit: CheckedUnit, check: Check): Promise<string | null> {
  switch (check.kind) {
    case 'sql':
      return await offendingRows(client, unit, check.sql, (rows) => (rows === 1 ? 'row offends' : 'rows offend'));
    case 'rowCount':
      return outOfBounds(unit.rows, check);
    case 'unique':
      return await offendingRows(client, unit, repeatedSql(check), (rows) => (rows === 1 ? 'value is repeated' : 'values are repeated'));
    case 'rowsMatchSource':
      return await rowsThatDiffer(client, unit);
    case 'sumsMatchSource':
      return await sumsThatDiffer(client, unit, check);
    case 'notFewerThan':
      return await fewerThanLastRun(client, unit, check);
  }
}

/** The relations `staging` and `rows` of the unit. */
function relationsOf({ planned: { plan, tables }, partition }: CheckedUnit): string {
  const staging = { table: tables.extracted.name, columns: plan.staged };
  return withRelations({ staging, rows: { table: tables.loaded.name, columns: plan.loaded } }, partition);
}

async function offendingRows(client: Connection, unit: CheckedUnit, sql: string, noun: (rows: number) => string): Promise<string | null> {
  const { rows: found } = await client.query<{ rows: string; sample: string[] | null }>(
    `${relationsOf(unit)}, offending as (${sql}\n)
     select (select count(*) from offending) as rows,
            (select array_agg(row_to_json(shown)::text) from (select * from offending limit ${SAMPLE_ROWS}) as shown) as sample`,
  );
  const count = Number(found[0]?.rows ?? 0);
  if (count === 0) return null;
  const sample = (found[0]?.sample ?? []).map((row) => (row.length > SAMPLE_CHARACTERS ? `${row.slice(0, SAMPLE_CHARACTERS)}...` : row));
  return `${count} ${noun(count)}, such as ${sample.join(', ')}`;
}

function outOfBounds(rows: number, { min, max }: RowCountCheck): string | null {
  if ((min === undefined || rows >= min) && (max === undefined || rows <= max)) return null;
  const wanted = [min === undefined ? '' : `at least ${min}`, max === undefined ? '' : `at most ${max}`];
  return `${rows} rows, but it wants ${wanted.filter(Boolean).join(' and ')}`;
}

function repeatedSql({ columns }: UniqueCheck): string {
  const names = columns.map(quoteName);
  const present = names.map((name) => `${name} is not null`).join(' and ');
  return `select ${names.join(', ')}, count(*) as rows from rows where ${present} group by ${names.join(', ')} having count(*) > 1`;
}

async function rowsThatDiffer(client: Connection, { planned, runKey, partition, source }: CheckedUnit): Promise<string | null> {
  const { rows } = await client.query<{ read: string; staged: string; quarantined: string }>(
    `select coalesce(sum(rows_read), 0) as read, coalesce(sum(rows_staged), 0) as staged, coalesce(sum(rows_quarantined), 0) as quarantined
     from sluice.chunks where run_key = $1 and ($2::int is null or partition = $2)`,
    [runKey, partition],
  );
  const [read, staged, quarantined] = [Number(rows[0]?.read), Number(rows[0]?.staged), Number(rows[0]?.quarantined)];
  if (read !== source?.rows) return `${read} rows were read, and the source has ${source?.rows} now`;
  const dropped = read - staged - quarantined;
  if (dropped === 0 || (dropped > 0 && planned.pipeline.rowFunction)) return null;
  return `${read} rows were read, but ${staged} are staged and ${quarantined} in quarantine`;
}

/** Rows in quarantine are added to those staged, unless the source has left them out; their records are JSON then. */
async function sumsThatDiffer(client: Connection, unit: CheckedUnit, { columns }: SumsMatchSourceCheck): Promise<string | null> {
  const { planned, runKey, partition, source } = unit;
  const all = summedColumns(planned.pipeline.checks);
  for (const column of columns) {
    const { rows } = await client.query<{ sum: string; expected: string; equal: boolean }>(
      `${relationsOf(unit)}, summed as (
         select coalesce((select sum(${quoteName(column)}::numeric) from staging), 0)
              + coalesce((select sum((replace(convert_from(record, 'UTF8'), '\\u0000', '\\ufffd')::json ->> $4)::numeric) from sluice.quarantine
                          where $6 and run_key = $1 and ($2::int is null or partition = $2) and chunk >= $3), 0) as sum
       )
       select sum::text, $5::numeric::text as expected, sum = $5::numeric as equal from summed`,
      [runKey, partition, firstSummed(planned.pipeline), column, source?.sums[all.indexOf(column)] ?? '0', source?.of === 'all'],
    );
    const [found] = rows;
    if (!found?.equal)
      return `column "${column}" adds up to ${found?.sum} in what was extracted, and to ${found?.expected} in the source now`;
  }
  return null;
}

async function fewerThanLastRun(
  client: Connection,
  { planned, runKey, rows }: CheckedUnit,
  check: NotFewerThanCheck,
): Promise<string | null> {
  const last = await readLastRowsLoaded(client, planned.pipeline.name, runKey);
  // 10 % of 30 is not four, as doubles have it.
  const wanted = last === null ? 0 : Math.ceil(last.rowsLoaded * (shareOf(check) ?? 0) - 1e-6);
  if (last === null || rows >= wanted) return null;
  return `${rows} rows, but it wants at least ${wanted}: ${check.share} of the ${last.rowsLoaded} that run ${last.runKey} loaded`;
}
