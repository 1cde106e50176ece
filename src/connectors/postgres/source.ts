/** PostgreSQL as a source: a table, a view or a query. */

import type { Json } from '../../contracts/run.ts';
import type { ColumnType } from '../../validation/row-schema.ts';
import type { OpenRows } from '../comparable-rows.ts';
import { NeedsRecords } from '../needs-records.ts';
import type {
  ChunkRequest,
  CopyChunk,
  CopyRequest,
  CursorWindow,
  OpenRowsRequest,
  PlannedPartition,
  PlanRequest,
  RecordChunk,
  Source,
  SourceDescription,
  SourceTotals,
  TotalsRequest,
  TransferChoice,
  TransferRequest,
} from '../source.ts';
import { planBinaryChecks } from './binary-checks.ts';
import { copyChunk, type Opening } from './chunk-copy.ts';
import { recordChunk } from './chunk-records.ts';
import { orderColumns } from './conditions.ts';
import type { PostgresSourceConfig } from './config.ts';
import { nextWindow } from './cursor-window.ts';
import { Database, databaseLabel, databaseUrl, quoteTable } from './database.ts';
import { readPosition } from './key-ranges.ts';
import { NextChunks } from './next-chunk.ts';
import { openSourceRows } from './open-rows.ts';
import { planPartitions } from './partitions.ts';
import { ReadTransaction, reading } from './read-transaction.ts';
import { columnOf, type Relation, readRelation, requireReadable } from './relation.ts';
import { type SeenPosition, SourceWatch } from './source-watch.ts';
import { sourceTotals } from './totals.ts';
import { binaryFit } from './types.ts';

/**
 * @param env where the connection URL is taken from when the configuration has none
 * @throws PermanentError `MissingDatabaseUrl`
 *
 * @example
 * const source = createPostgresSource({ kind: 'postgres', table: 'orders' });
 */
export function createPostgresSource(config: PostgresSourceConfig, env: NodeJS.ProcessEnv = process.env): Source {
  return new PostgresSource(config, databaseUrl(config, env));
}

class PostgresSource implements Source {
  readonly kind = 'postgres';
  readonly #config: PostgresSourceConfig;
  readonly #database: Database;
  readonly #label: string;
  /** What is locked before a snapshot is taken, once it is known. */
  #lock: string | null | undefined;
  readonly #opening: Opening;
  /** Of the sessions in which a run is planned: none goes back behind another. */
  readonly #planWatch: SourceWatch;

  constructor(config: PostgresSourceConfig, url: string) {
    this.#config = config;
    this.#database = new Database('source', url);
    this.#label = `${databaseLabel(url)} ${config.table === undefined ? 'query' : `table ${config.table}`}`;
    const maxLag = config.maxLag ?? null;
    this.#planWatch = new SourceWatch(maxLag);
    this.#opening = {
      ...{ database: this.#database, config, lock: () => this.#tableToLock(), next: new NextChunks(this.#database) },
      watch: ({ partition, position }) => new SourceWatch(maxLag, seenByPlan(partition), readPosition(position).seen),
    };
  }

  async describe(signal: AbortSignal): Promise<SourceDescription> {
    await this.#database.requireVersion();
    const relation = await this.#relation(signal);
    const columns = relation.columns.filter((column) => column.readable);
    return {
      label: this.#label,
      columns: columns.map(({ name, sqlType, notNull }) => ({ name, sqlType, nullable: !notNull })),
      key: relation.key,
      keyIsUnique: this.#config.key === undefined && relation.key.length > 0,
    };
  }

  async *plan(request: PlanRequest): AsyncGenerator<PlannedPartition, void, void> {
    const { partitioning, window, signal } = request;
    const where = this.#database.label;
    const transaction = await ReadTransaction.begin(this.#database, { signal, lock: await this.#tableToLock(), watch: this.#planWatch });
    try {
      const relation = await readRelation(transaction, this.#database, this.#config);
      const by = 'column' in partitioning ? [partitioning.column] : [];
      await requireReadable(transaction, relation, this.#config, [...request.columns, ...by, ...orderColumns(relation, window)], where);
      const bounds = { seen: this.#planWatch.seen } as unknown as Json;
      for await (const partition of planPartitions(transaction, { relation, partitioning, window, where })) yield { ...partition, bounds };
      await transaction.commit();
    } finally {
      transaction.abandon();
    }
  }

  /**
   * `binary` where every column fits and the row schema can be checked on the bytes; else `text`, if no row has to be looked at; else
   * `records`.
   */
  async chooseTransfer(request: TransferRequest): Promise<TransferChoice> {
    const relation = await this.#relation(new AbortController().signal);
    const where = this.#database.label;
    const all = request.schema.map((column) => column.name);
    const checks = planBinaryChecks(relation, request, where);
    if (checks instanceof NeedsRecords) return { transfer: 'records', because: checks.because, checked: all };
    const misfit = request.columns.find(({ name, sqlType }) => binaryFit(columnOf(relation, name, where), sqlType) === 'no');
    if (!misfit) return { transfer: 'binary', because: null, checked: checks?.looks.map((look) => look.name) ?? [] };
    const because = `column "${misfit.name}": ${columnOf(relation, misfit.name, where).sqlType} does not go into ${misfit.sqlType} as bytes`;
    return checks ? { transfer: 'records', because, checked: all } : { transfer: 'text', because, checked: [] };
  }

  /** Each chunk is a snapshot of its own and looks the table up; here one statement asks whether it is there. */
  async verify(_partition: PlannedPartition, signal: AbortSignal): Promise<void> {
    const { table } = this.#config;
    const name = table === undefined ? null : quoteTable(table);
    const [found] = await this.#database.query<{ there: boolean }>(
      'select $1::text is null or to_regclass($1::text) is not null as there',
      [name],
    );
    if (!found?.there) await this.#relation(signal);
  }

  async stillHas(ends: readonly Json[]): Promise<void> {
    const watch = new SourceWatch(null, ...ends.map((end) => readPosition(end).seen));
    const client = await this.#database.connect((session) => watch.unfit(session));
    client.release();
  }

  async readCopy(request: CopyRequest): Promise<CopyChunk> {
    return copyChunk(this.#opening, request);
  }

  async readRecords(request: ChunkRequest & { readonly schema?: readonly ColumnType[] }): Promise<RecordChunk> {
    return recordChunk(this.#opening, request);
  }

  async totals(request: TotalsRequest): Promise<SourceTotals> {
    return await sourceTotals(this.#opening, request);
  }

  async openRows(request: OpenRowsRequest): Promise<OpenRows> {
    return await openSourceRows(this.#opening, request);
  }

  async nextWindow(
    cursor: string,
    key: readonly string[],
    low: readonly string[] | null,
    lag: string | null,
    signal: AbortSignal,
  ): Promise<CursorWindow> {
    return await nextWindow(this.#database, { config: this.#config, cursor, key, low, lag, signal, watch: this.#planWatch });
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async #relation(signal: AbortSignal): Promise<Relation> {
    const relation = await reading(this.#database, { signal, lock: null, watch: this.#planWatch }, (transaction) =>
      readRelation(transaction, this.#database, this.#config),
    );
    this.#lock = relation.lock;
    return relation;
  }

  async #tableToLock(): Promise<string | null> {
    if (this.#lock === undefined) await this.#relation(new AbortController().signal);
    return this.#lock ?? null;
  }
}

function seenByPlan({ bounds }: PlannedPartition): SeenPosition | null {
  return (bounds as { readonly seen?: SeenPosition } | null)?.seen ?? null;
}
