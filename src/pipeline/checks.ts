/** Table checks: questions about all rows of a unit (the run, or a partition) that must be answered before it is committed. */
import type { CommitUnit } from '../contracts/run.ts';
import type { DefinitionError } from '../errors.ts';

export interface SqlCheck {
  readonly kind: 'sql';
  readonly name: string;
  /** A SELECT that returns the offending rows; `rows` is what will be loaded, `staging` what was extracted. */
  readonly sql: string;
}

export interface RowCountCheck {
  readonly kind: 'rowCount';
  readonly name: string;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

export interface UniqueCheck {
  readonly kind: 'unique';
  readonly name: string;
  readonly columns: readonly string[];
}

export interface RowsMatchSourceCheck {
  readonly kind: 'rowsMatchSource';
  readonly name: string;
}

export interface SumsMatchSourceCheck {
  readonly kind: 'sumsMatchSource';
  readonly name: string;
  readonly columns: readonly string[];
}

export interface NotFewerThanCheck {
  readonly kind: 'notFewerThan';
  readonly name: string;
  /** `'90%'` */
  readonly share: string;
}

export type Check = SqlCheck | RowCountCheck | UniqueCheck | RowsMatchSourceCheck | SumsMatchSourceCheck | NotFewerThanCheck;

/**
 * A check in SQL: it fails when the SELECT returns rows, and shows some of them.
 *
 * @example
 * noRows('every order has a customer', 'select * from rows where customer_id is null')
 */
export const noRows = (name: string, sql: string): SqlCheck => ({ kind: 'sql', name, sql });

/** The unit has at least `min` and at most `max` rows to load. */
export const rowCount = (bounds: { min?: number; max?: number }): RowCountCheck => ({ kind: 'rowCount', name: 'rowCount', ...bounds });

/**
 * No two rows of the unit have the same values in these columns. As in a unique constraint, rows with a null in one of them are not compared.
 *
 * @example
 * unique('region', 'order_number')
 */
export const unique = (...columns: readonly string[]): UniqueCheck => ({ kind: 'unique', name: `unique(${columns.join(', ')})`, columns });

/**
 * As many rows were read as the source has in the unit's partitions when the check runs, and each of them was staged, put into quarantine,
 * or dropped by the row function. CSV and JSON lines are read a second time for it. A source that is written to meanwhile makes it fail.
 */
export const rowsMatchSource = (): RowsMatchSourceCheck => ({ kind: 'rowsMatchSource', name: 'rowsMatchSource' });

/**
 * The sums of these columns in staging and quarantine are those of the source when the check runs. The columns are of types that add up
 * exactly (integers, numeric). CSV and JSON lines are read a second time for it. A source that is written to meanwhile makes it fail, and so
 * does whatever drops rows or changes these columns: a row function, a default of the row schema, a type that rounds.
 *
 * @example
 * sumsMatchSource('amount', 'quantity')
 */
export const sumsMatchSource = (...columns: readonly string[]): SumsMatchSourceCheck => ({
  kind: 'sumsMatchSource',
  name: `sumsMatchSource(${columns.join(', ')})`,
  columns,
});

/**
 * The run has at least this share of the rows that the pipeline's last successful run loaded. The first run passes. Only for pipelines that
 * commit by run.
 *
 * @example
 * notFewerThan('90%')
 */
export const notFewerThan = (share: `${number}%`): NotFewerThanCheck => ({ kind: 'notFewerThan', name: `notFewerThan(${share})`, share });

/** What a check may be held against when the pipeline is defined. */
export interface CheckedPipeline {
  readonly checks: readonly Check[];
  readonly commit: CommitUnit;
  /** Columns staged and loaded; null where only the source knows. */
  readonly staged: readonly string[] | null;
  readonly loaded: readonly string[] | null;
}

/** @throws DefinitionError naming the check */
export function requireSoundChecks(pipeline: CheckedPipeline, fail: (message: string) => DefinitionError): void {
  for (const check of pipeline.checks) {
    const wrong = mistakeIn(check, pipeline);
    if (wrong !== null) throw fail(`${check.name}: ${wrong}`);
  }
}

function mistakeIn(check: Check, { commit, staged, loaded }: CheckedPipeline): string | null {
  switch (check.kind) {
    case 'sql':
    case 'rowsMatchSource':
      return null;
    case 'rowCount':
      return check.min === undefined && check.max === undefined ? 'needs min or max' : null;
    case 'unique':
      return columnsMistake(check.columns, loaded, 'loaded');
    case 'sumsMatchSource':
      return columnsMistake(check.columns, staged, 'staged');
    case 'notFewerThan':
      if (shareOf(check) === null) return `"${check.share}" is not a share such as '90%'`;
      return commit === 'run' ? null : `compares whole runs, and this pipeline commits each ${commit} by itself. Commit by run.`;
  }
}

function columnsMistake(columns: readonly string[], known: readonly string[] | null, what: string): string | null {
  if (columns.length === 0) return 'names no column';
  const missing = known === null ? undefined : columns.find((name) => !known.includes(name));
  return missing === undefined ? null : `column "${missing}" is not ${what}; there are: ${known?.join(', ')}.`;
}

/** `'90%'` as 0.9; null where it is no share. */
export function shareOf(check: NotFewerThanCheck): number | null {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(check.share)?.[1];
  return percent === undefined ? null : Number(percent) / 100;
}
