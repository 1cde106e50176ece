/** Opens rows to be compared: those of a source as staging would hold them, and those of a target. Each is a snapshot of its own. */
import type { OpenRows } from '../comparable-rows.ts';
import type { CursorWindow, OpenRowsRequest, PartitionFilter } from '../source.ts';
import type { Opening } from './chunk-copy.ts';
import { all, windowCondition } from './conditions.ts';
import { type Database, quoteName } from './database.ts';
import { HASH_PROBE, type HashedColumn } from './digest.ts';
import { type HashedRelation, HashedRows } from './hashed-rows.ts';
import { anyOf } from './load.ts';
import { ReadTransaction } from './read-transaction.ts';
import { columnOf, type Relation, readRelation, requireReadable } from './relation.ts';
import { bareType, baseType, type PostgresColumn } from './types.ts';

/** @throws PermanentError `MissingTable`, `MissingColumn`, `MissingGrant` */
export async function openSourceRows({ database, config, lock }: Opening, request: OpenRowsRequest): Promise<OpenRows> {
  return await open(database, request.signal, await lock(), async (transaction) => {
    const relation = await readRelation(transaction, database, config);
    const read = request.columns.filter((column) => column.read).map((column) => column.name);
    await requireReadable(transaction, relation, config, read, database.label);
    return {
      from: `(select * from ${relation.from}) as r`,
      where: all([inPartitions(relation, request.filters), windowCondition(relation, request.window, database.label)]),
      columns: request.columns.map((column) => ({
        ...column,
        value: column.read ? asStaged(columnOf(relation, column.name, database.label), column.sqlType) : `null::${column.sqlType}`,
      })),
      key: request.key,
    };
  });
}

export interface TargetRowsRequest {
  readonly table: string;
  readonly columns: readonly HashedColumn[];
  readonly key: readonly string[];
  /** The rows of these partitions; null for all. */
  readonly filters: readonly PartitionFilter[] | null;
  /** The rows of no partition of `filters` instead. */
  readonly others?: boolean;
  /** Only where the target can tell. */
  readonly window: CursorWindow | null;
  readonly signal: AbortSignal;
}

/** @throws PermanentError `MissingTable`, `MissingColumn`, `MissingGrant` */
export async function openTargetRows(database: Database, request: TargetRowsRequest): Promise<OpenRows> {
  return await open(database, request.signal, null, async (transaction) => {
    const config = { kind: 'postgres', table: request.table } as const;
    const relation = await readRelation(transaction, database, config);
    const names = request.columns.map((column) => column.name);
    await requireReadable(transaction, relation, config, names, database.label);
    const inside = request.filters === null ? 'true' : inPartitions(relation, request.filters);
    return {
      from: `${relation.from} as r`,
      where: all([request.others ? `(${inside}) is not true` : inside, windowCondition(relation, request.window, database.label)]),
      columns: request.columns.map((column) => ({ ...column, value: `r.${quoteName(column.name)}` })),
      key: request.key,
    };
  });
}

/** Columns of the target's primary key; empty where it has none. */
export async function primaryKey(database: Database, table: string, signal: AbortSignal): Promise<readonly string[]> {
  const transaction = await ReadTransaction.begin(database, { signal, lock: null });
  try {
    const { key } = await readRelation(transaction, database, { kind: 'postgres', table });
    await transaction.commit();
    return key;
  } finally {
    transaction.abandon();
  }
}

async function open(
  database: Database,
  signal: AbortSignal,
  lock: string | null,
  look: (transaction: ReadTransaction) => Promise<HashedRelation>,
): Promise<OpenRows> {
  const transaction = await ReadTransaction.begin(database, { signal, lock });
  try {
    const relation = await look(transaction);
    const [probe] = await transaction.query<{ hash: string }>(HASH_PROBE);
    return Object.assign(new HashedRows(transaction, relation), {
      hashProbe: probe?.hash ?? '',
      close: () => transaction.abandon(),
    });
  } catch (error) {
    transaction.abandon();
    throw error;
  }
}

function inPartitions(relation: Relation, filters: readonly PartitionFilter[]): string {
  const condition = anyOf(
    filters,
    relation.columns.map(({ name, type, notNull }) => ({ name, sqlType: type.castName, notNull })),
  );
  return condition === 'true' ? condition : `(${condition})`;
}

/** The value that staging would hold of a column which travels by binary COPY. */
export function asStaged(column: PostgresColumn, sqlType: string): string {
  const value = `r.${quoteName(column.name)}`;
  if (column.sqlType === sqlType) return value;
  const wanted = bareType(sqlType);
  const have = bareType(baseType(column.type).castName);
  // A cast would take the blanks away that the value is sent with.
  if (have === 'character' && wanted !== 'character') return `textin(bpcharout(${value}))`;
  if (wanted === 'character') return `${value}::text::bpchar`;
  // A cast would cut what the column of staging refuses.
  if (/^(text|character|bit)/.test(wanted)) return wanted.endsWith('[]') || wanted.startsWith('bit') ? value : `${value}::text`;
  return `${value}::${sqlType}`;
}
