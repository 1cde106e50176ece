/** What a run of a pipeline would do and where, from what its plan would decide. Only reads. */
import { createSource } from '../connectors/index.ts';
import { Database, databaseLabel, databaseUrl } from '../connectors/postgres/database.ts';
import type { Partitioning, TransferChoice } from '../connectors/source.ts';
import type { PlannedColumn } from '../ledger/run-plan.ts';
import type { BoundPipeline } from '../pipeline/definition.ts';
import type { ColumnType } from '../validation/row-schema.ts';
import { transformedColumns } from './columns.ts';
import { type DecidedPlan, decidePlan } from './decide-plan.ts';
import { type HowWritten, howWritten } from './how-written.ts';

/** Who looks at the values of a column. */
export type CheckedBy = 'nobody' | 'worker on the bytes' | 'DuckDB' | 'worker on each record' | 'zod on each record';

export interface ExplainedColumn {
  readonly column: string;
  /** Type of value that the row schema wants. */
  readonly type: string;
  readonly checkedBy: CheckedBy;
  /** What of it only zod can judge; null where the compiled checks say all. */
  readonly needsZod: string | null;
}

export interface Explanation {
  readonly pipeline: string;
  readonly source: {
    readonly label: string;
    readonly reads: readonly string[];
    readonly partitions: string;
    /** For incremental pipelines: what is new since the last run. */
    readonly window: string | null;
  };
  readonly transfer: { readonly how: string; readonly says: string; readonly whyNotFaster: string | null };
  /** The columns of the row schema; empty without one. */
  readonly row: readonly ExplainedColumn[];
  /** What of the row as a whole only zod can judge. */
  readonly wholeRow: string | null;
  readonly transform: string | null;
  readonly checks: readonly { readonly name: string; readonly runs: string }[];
  readonly target: {
    readonly label: string;
    readonly table: string;
    readonly exists: boolean;
    readonly mode: string;
    readonly key: readonly string[] | null;
    readonly commit: string;
    readonly columns: readonly Pick<PlannedColumn, 'name' | 'sqlType' | 'notNull'>[];
  };
  readonly written: HowWritten;
}

/**
 * @param env where connection URLs are taken from when the pipeline has none
 * @throws PermanentError what a run would fail with when it is planned
 */
export async function explainPlan(pipeline: BoundPipeline, env: NodeJS.ProcessEnv): Promise<Explanation> {
  const url = databaseUrl(pipeline.target, env);
  const database = new Database('target', url, { max: 2 });
  const source = createSource(pipeline.source, env);
  try {
    await database.requireVersion();
    const decided = await decidePlan(database, pipeline, source, new AbortController().signal);
    const { staged, target } = decided;
    const loaded = pipeline.sqlTransform
      ? await database.transaction((client) => transformedColumns(client, pipeline, staged, target, database), { readOnly: true })
      : staged;
    return explain(pipeline, decided, loaded, databaseLabel(url));
  } finally {
    await Promise.all([source.close(), database.close()]);
  }
}

function explain(pipeline: BoundPipeline, decided: DecidedPlan, loaded: readonly PlannedColumn[], label: string): Explanation {
  const { description, window, read, target, choice } = decided;
  const { row, rowFunction, sqlTransform } = pipeline;
  return {
    pipeline: pipeline.name,
    source: {
      label: description.label,
      reads: read,
      partitions: partitionsText(pipeline.partitionBy),
      window: window && `${window.cursor} after ${window.low?.[0] ?? 'the beginning'} to ${window.high?.[0] ?? 'nothing new'}`,
    },
    transfer: { how: choice.transfer, says: transferText(choice, row !== null), whyNotFaster: choice.because },
    row: row?.columns.map((column) => explainColumn(column, choice, pipeline.source.kind)) ?? [],
    wholeRow: row?.uncompiled ?? null,
    transform: rowFunction
      ? 'row function, in the worker, on each record'
      : sqlTransform
        ? 'SQL, in the target database, over all staged rows of the unit'
        : null,
    checks: pipeline.checks.map(({ name, kind }) => ({
      name,
      runs: kind === 'rowsMatchSource' || kind === 'sumsMatchSource' ? 'target and source' : 'target',
    })),
    target: {
      label,
      table: pipeline.target.table,
      exists: target.exists,
      mode: pipeline.target.mode,
      key: pipeline.target.key ?? null,
      commit: pipeline.commit,
      columns: loaded.map(({ name, sqlType, notNull }) => ({ name, sqlType, notNull })),
    },
    written: howWritten(pipeline, decided),
  };
}

function explainColumn({ name, type, uncompiled }: ColumnType, { transfer, checked }: TransferChoice, kind: string): ExplainedColumn {
  const where = (): CheckedBy => {
    if (transfer === 'records') return uncompiled === null ? 'worker on each record' : 'zod on each record';
    if (!checked.includes(name)) return 'nobody';
    return kind === 'parquet' ? 'DuckDB' : 'worker on the bytes';
  };
  return { column: name, type, checkedBy: where(), needsZod: uncompiled };
}

function transferText({ transfer, checked }: TransferChoice, hasSchema: boolean): string {
  const looked = checked.length > 0 ? ', with the row schema checked on the way' : ', untouched';
  switch (transfer) {
    case 'binary':
      return `binary COPY to binary COPY${looked}`;
    case 'text':
      return 'text COPY to text COPY, untouched';
    case 'csv':
      return `CSV into COPY${looked}`;
    case 'records':
      return hasSchema ? 'records, parsed, judged and encoded one by one' : 'records, encoded one by one';
  }
}

function sizeText(bytes: number): string {
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes} bytes`;
}

function partitionsText(by: Partitioning): string {
  switch (by.by) {
    case 'none':
      return 'one';
    case 'file':
      return 'one for each file';
    case 'date': {
      const bounds = [by.from === undefined ? '' : ` from ${by.from}`, by.to === undefined ? '' : ` to ${by.to}`].join('');
      return `one for each ${by.unit} of "${by.column}"${bounds}`;
    }
    case 'value':
      return `one for each value of "${by.column}"${by.values ? ` among ${by.values.join(', ')}` : ''}`;
    case 'bytes':
      return `one for each file, and one for every ${sizeText(by.size)} of a larger one`;
    case 'range':
      return `one for every ${by.rows} rows in the order of "${by.column}"`;
  }
}
