/**
 * How far an incremental run may read: up to the last row below which no open transaction can still add one.
 *
 * A row is committed later than its cursor value was taken. A run that read up to the largest value it sees would skip the rows of
 * transactions that are still open, for ever. (airbytehq/airbyte#14732 and its kind)
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DefinitionError, PermanentError, TransientError } from '../../errors.ts';
import type { CursorWindow } from '../source.ts';
import { all, compare, literal } from './conditions.ts';
import type { PostgresSourceConfig } from './config.ts';
import { type Database, quoteName, quoteText } from './database.ts';
import { type ReadTransaction, reading } from './read-transaction.ts';
import { columnOf, type Relation, readRelation, requireReadable } from './relation.ts';
import type { SourceWatch } from './source-watch.ts';
import { baseType } from './types.ts';

export interface WindowRequest {
  readonly config: PostgresSourceConfig;
  readonly cursor: string;
  readonly key: readonly string[];
  readonly low: readonly string[] | null;
  /** An interval for a cursor in time (`5 minutes`), a number for an integer cursor; null to look at the open transactions. */
  readonly lag: string | null;
  /** No session goes back behind another. */
  readonly watch?: SourceWatch | undefined;
  readonly signal: AbortSignal;
}

const TIMES = new Set(['timestamptz', 'timestamp', 'date']);
const INTEGERS = new Set(['int2', 'int4', 'int8', 'numeric']);

/**
 * @throws DefinitionError where the column cannot be a cursor, or the lag does not fit it; PermanentError `MissingGrant`, `StandbyNeedsLag`,
 * `CachedSequence`, `DescendingCursor`, `NullInCursor`, `EndlessCursor`;
 * TransientError `OpenTransactions` where those that stand in the way do not end
 */
export async function nextWindow(database: Database, request: WindowRequest): Promise<CursorWindow> {
  const { config, cursor, key, low, signal, watch } = request;
  const where = database.label;
  const relation = await reading(database, { signal, lock: null, watch }, async (transaction) => {
    const found = await readRelation(transaction, database, config);
    await requireReadable(transaction, found, config, [cursor, ...key], where);
    return found;
  });
  const column = columnOf(relation, cursor, where);
  const { name } = baseType(column.type);
  let below: string;
  if (TIMES.has(name)) below = await timeHorizon(database, request, relation);
  else if (INTEGERS.has(name)) below = await integerHorizon(database, request, relation);
  else {
    throw new DefinitionError(
      `${where}: column "${cursor}" is ${column.sqlType} and cannot be an incremental cursor. Name a timestamp, date or integer column that grows.`,
    );
  }
  // A new snapshot: it sees all that the transactions have done whose end was waited for.
  const high = await reading(database, { signal, lock: relation.lock, watch }, async (transaction) => {
    if (!column.notNull) await refuseNulls(transaction, relation, cursor, where);
    if (TIMES.has(name)) await refuseInfinity(transaction, relation, cursor, where);
    return await lastRow(transaction, relation, request, below, where);
  });
  return { cursor, key, low, high };
}

/** A row whose cursor is null is after nothing and before nothing: no run would ever read it, and nobody would be told. */
async function refuseNulls(transaction: ReadTransaction, relation: Relation, cursor: string, where: string): Promise<void> {
  const found = await transaction.query(`select 1 from ${relation.from} where ${quoteName(cursor)} is null limit 1`);
  if (found.length === 0) return;
  throw new PermanentError(
    'NullInCursor',
    `${where}: ${relation.label} has rows whose cursor "${cursor}" is null; no incremental run would ever read them. Fill the column, or read a ` +
      `query that gives them a value: coalesce(${cursor}, ...), or that leaves them out: where ${cursor} is not null.`,
  );
}

/** Infinity is not a time at which something was written: no run would ever come so far, and nobody would be told. */
async function refuseInfinity(transaction: ReadTransaction, relation: Relation, cursor: string, where: string): Promise<void> {
  const found = await transaction.query(`select 1 from ${relation.from} where ${quoteName(cursor)} in ('infinity', '-infinity') limit 1`);
  if (found.length > 0) throw endlessCursor(relation, cursor, 'infinity or -infinity', `isfinite(${cursor})`, where);
}

function endlessCursor(relation: Relation, cursor: string, value: string, good: string, where: string): PermanentError {
  return new PermanentError(
    'EndlessCursor',
    `${where}: ${relation.label} has rows whose cursor "${cursor}" is ${value}, and nothing that is written later comes after that. ` +
      `Change the value, or read a query that leaves these rows out: where ${good}.`,
  );
}

/** (cursor, key...) of the last row below the horizon; null where there is none after `low`. */
async function lastRow(
  transaction: ReadTransaction,
  relation: Relation,
  { cursor, key, low }: WindowRequest,
  below: string,
  where: string,
): Promise<string[] | null> {
  const columns = [cursor, ...key];
  const condition = all([below, low ? compare(relation, columns, '>', low, where) : 'true']);
  const descending = [...new Set(columns)].map((name) => `${quoteName(name)} desc`).join(', ');
  const names = [...new Set(columns)].map(quoteName).join(', ');
  const [row] = await transaction.query<{ high: string[] }>(
    `select array[${columns.map((name) => `${quoteName(name)}::text`).join(', ')}] as high
     from (select ${names} from ${relation.from} where ${condition} order by ${descending} limit 1) as last_row`,
  );
  return row?.high ?? null;
}

/** Between the moment that is the latest horizon and the look at the open transactions: one that began before may not be shown yet. */
const SETTLE_MS = 100;
const POLL_MS = 100;
/** How long transactions in the way are waited for here; after that the activity fails, says so, and is tried again. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Rows before the start of the oldest transaction still open, which is the earliest `now()` that can still be committed.
 *
 * For a timestamp without time zone the horizon is taken in the time zone that the role's sessions have by default, as the smallest
 * that its clocks can still show ({@link earliestLocalTime}).
 */
async function timeHorizon(database: Database, { config, cursor, lag, signal }: WindowRequest, relation: Relation): Promise<string> {
  const where = database.label;
  const [before] = await database.query<{ now: string; standby: boolean; zone: string; sees: boolean; role: string }>(
    `select to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' as now, pg_is_in_recovery() as standby,
            current_setting('TimeZone') as zone, current_user::text as role,
            pg_has_role(current_user, 'pg_read_all_stats', 'usage') or not exists (
              select 1 from pg_stat_activity a where a.datname = current_database() and a.usesysid is not null
                and not pg_has_role(current_user, a.usesysid, 'usage')) as sees`,
  );
  if (!before) throw new TransientError('Unexpected', `${where}: the server did not say what time it is.`);
  if (lag === null && before.standby) throw standbyNeedsLag(where, cursor);
  if (lag === null && !before.sees) {
    throw new PermanentError(
      'MissingGrant',
      `${where}: role "${before.role}" does not see since when the transactions of others are open, so that rows committed late could be skipped. ` +
        `Run: GRANT pg_read_all_stats TO ${quoteName(before.role)}; or state in the pipeline a \`lag\` that is longer than any transaction that writes to ${config.table ?? 'the tables of the query'}.`,
    );
  }
  await delay(SETTLE_MS, undefined, { signal });
  const started = Date.now();
  for (;;) {
    const [row] = await database
      .query<{ horizon: string; unknown: string | null }>(
        `select to_char(least($1::timestamptz - $2::interval,
                (select min(a.xact_start) from pg_stat_activity a
                 where a.datname = current_database() and a.pid <> pg_backend_pid()
                   and a.backend_type not in ('autovacuum worker', 'walsender')),
                case when $3 then (select min(p.prepared) from pg_prepared_xacts p where p.database = current_database()) - $2::interval end
              ) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' as horizon,
              case when not $3 then (select min(p.gid) from pg_prepared_xacts p where p.database = current_database()) end as unknown`,
        [before.now, lag ?? '0', lag !== null],
      )
      .catch((error: unknown) => {
        throw lag !== null && isInvalidInterval(error) ? badLag(where, cursor, lag, 'an interval such as "5 minutes"') : error;
      });
    if (!row) throw new TransientError('Unexpected', `${where}: the server did not say which transactions are open.`);
    if (row.unknown === null) return horizonCondition(relation, cursor, row.horizon, before.zone, where);
    // When a prepared transaction began is not to be had, only when it was prepared.
    if (Date.now() - started > LONGEST_WAIT_MS) {
      throw new TransientError(
        'OpenTransactions',
        `${where}: the prepared transaction "${row.unknown}" is still open, and it is not known since when. Commit it or roll it back, or state a \`lag\`.`,
        { blameless: true },
      );
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

function horizonCondition(relation: Relation, cursor: string, horizon: string, zone: string, where: string): string {
  const { name } = baseType(columnOf(relation, cursor, where).type);
  const column = quoteName(cursor);
  if (name === 'timestamptz') return `${column} < ${quoteText(horizon)}::timestamptz`;
  const local = earliestLocalTime(horizon, zone);
  return `${column} < ${name === 'date' ? `${local}::date` : local}`;
}

/**
 * SQL for the smallest time that clocks of a zone show at an instant or after it. In the hours before they are put back it is what they
 * will show then. They are put back by two hours at most, at a quarter of an hour.
 */
export function earliestLocalTime(instant: string, zone: string): string {
  const start = `${quoteText(instant)}::timestamptz`;
  const quarter = `date_trunc('hour', ${start}, 'UTC') + quarters * interval '15 minutes'`;
  return `(select min(greatest(${start}, ${quarter}) at time zone ${quoteText(zone)}) from generate_series(0, 12) as quarters)`;
}

/**
 * Rows up to the largest value that is visible, once every transaction that was writing when it was seen has ended: whoever drew a smaller
 * value from a sequence, or inserted one, holds a lock on the sequence or the table until its end, unless the sequence is one that
 * {@link requireGrowing} refuses. This is how CREATE INDEX CONCURRENTLY waits; snapshots alone do not do, since drawing a value needs no
 * transaction id.
 */
async function integerHorizon(database: Database, request: WindowRequest, relation: Relation): Promise<string> {
  const { cursor, lag, signal, watch } = request;
  const where = database.label;
  const column = quoteName(cursor);
  const [largest] = await reading(database, { signal, lock: relation.lock, watch }, async (transaction) => {
    await requireGrowing(transaction, relation, request, where);
    return await transaction.query<{ value: string | null; standby: boolean }>(
      `select max(${column})::text as value, pg_is_in_recovery() as standby from ${relation.from}
       where ${request.low ? `${column} >= ${literal(relation, cursor, request.low[0] ?? '', where)}` : `${column} is not null`}`,
    );
  });
  if (!largest || largest.value === null) return 'false';
  // They sort above all numbers.
  if (!/\d/.test(largest.value)) throw endlessCursor(relation, cursor, largest.value, `${cursor} < '${largest.value}'`, where);
  if (lag !== null) {
    if (!/^\d+$/.test(lag.trim())) throw badLag(where, cursor, lag, 'a number, by which to stay below the largest value');
    return `${column} <= ${quoteText(largest.value)}::numeric - ${quoteText(lag.trim())}::numeric`;
  }
  if (largest.standby) throw standbyNeedsLag(where, cursor);

  const writing = () =>
    database.query<{ transaction: string; pid: number | null }>(
      `select distinct l.virtualtransaction as transaction, l.pid from pg_locks l left join pg_class c on c.oid = l.relation
       where l.locktype = 'relation' and l.granted and l.database = (select oid from pg_database where datname = current_database())
         and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
         and coalesce(c.relkind, 'r') not in ('i', 'I') and l.pid is distinct from pg_backend_pid()`,
    );
  let open = new Set((await writing()).map((row) => row.transaction));
  const started = Date.now();
  while (open.size > 0) {
    await delay(POLL_MS, undefined, { signal });
    const still = (await writing()).filter((row) => open.has(row.transaction));
    open = new Set(still.map((row) => row.transaction));
    if (open.size > 0 && Date.now() - started > LONGEST_WAIT_MS) {
      const pids = still.map((row) => row.pid ?? 'prepared').join(', ');
      throw new TransientError(
        'OpenTransactions',
        `${where}: transactions that were writing when the run was planned are still open (pid ${pids}). End them, or state a \`lag\`.`,
        { blameless: true },
      );
    }
  }
  return `${column} <= ${literal(relation, cursor, largest.value, where)}`;
}

/** A sequence that a column is filled from. */
interface SequenceBehind {
  /** Quoted, with its schema where it needs one. */
  readonly name: string;
  readonly cache: string;
  readonly descends: boolean;
}

/**
 * The numbers of a sequence are drawn in the order in which transactions hold their locks only where it counts upwards and no session takes
 * numbers in advance: those that a session keeps are inserted whenever it likes, under no lock that tells of them.
 *
 * @throws PermanentError `DescendingCursor`, or `CachedSequence` where no lag is stated
 */
async function requireGrowing(
  transaction: ReadTransaction,
  relation: Relation,
  { cursor, lag }: Pick<WindowRequest, 'cursor' | 'lag'>,
  where: string,
): Promise<void> {
  const sequences = await sequencesBehind(transaction, relation, cursor);
  const descending = sequences.find((sequence) => sequence.descends);
  if (descending) {
    throw new PermanentError(
      'DescendingCursor',
      `${where}: cursor "${cursor}" of ${relation.label} is filled from sequence ${descending.name}, which counts down: rows that are added later have smaller numbers, ` +
        'and no incremental run would ever read them. Name a timestamp, date or integer column that grows.',
    );
  }
  const cached = sequences.find((sequence) => sequence.cache !== '1');
  if (!cached || lag !== null) return;
  throw new PermanentError(
    'CachedSequence',
    `${where}: cursor "${cursor}" of ${relation.label} is filled from sequence ${cached.name}, of which each session takes ${cached.cache} numbers in advance: it may ` +
      'insert them long after other sessions have inserted larger ones, and no incremental run would ever read them. ' +
      `Run: ALTER SEQUENCE ${cached.name} CACHE 1; and let the sessions that write connect anew. Or name a timestamp as the cursor; or state in the pipeline a \`lag\`: ` +
      'by how much a number may be smaller than the largest when its row is committed.',
  );
}

/** Of a table's column, the sequences that it owns (serial, identity) and that its default draws from; a query's column has those of its table's. */
async function sequencesBehind(transaction: ReadTransaction, relation: Relation, name: string): Promise<SequenceBehind[]> {
  const [field] = await transaction.fields(`select ${quoteName(name)} from ${relation.from}`);
  return await transaction.query<SequenceBehind>(
    `select s.seqrelid::regclass::text as name, s.seqcache::text as cache, s.seqincrement < 0 as descends
     from pg_sequence s
     where s.seqrelid in (
       select d.objid from pg_depend d
       where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.refobjsubid = $2
       union all
       select d.refobjid from pg_attrdef a join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid
       where a.adrelid = $1 and a.adnum = $2 and d.refclassid = 'pg_class'::regclass)
     order by name`,
    [field?.tableID ?? 0, field?.columnID ?? 0],
  );
}

function standbyNeedsLag(where: string, cursor: string): PermanentError {
  return new PermanentError(
    'StandbyNeedsLag',
    `${where}: this is a standby, which does not know the open transactions of its primary, so that rows of cursor "${cursor}" committed late could be skipped. ` +
      'Name the primary, or state in the pipeline a `lag` that is longer than any transaction that writes, and the replication delay with it.',
  );
}

function badLag(where: string, cursor: string, lag: string, wanted: string): DefinitionError {
  return new DefinitionError(`${where}: lag "${lag}" does not fit the cursor "${cursor}": give ${wanted}.`);
}

function isInvalidInterval(error: unknown): boolean {
  const cause = (error as { cause?: { code?: unknown } }).cause;
  return cause?.code === '22007' || cause?.code === '22008' || cause?.code === '22015';
}
