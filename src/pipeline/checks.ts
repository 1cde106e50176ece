/** Table checks: questions about all rows of a unit (the run, or a partition) that must be answered before it is committed. */

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

export type Check = SqlCheck | RowCountCheck;

/**
 * A check in SQL: it fails when the SELECT returns rows, and shows some of them.
 *
 * @example
 * noRows('every order has a customer', 'select * from rows where customer_id is null')
 */
export const noRows = (name: string, sql: string): SqlCheck => ({ kind: 'sql', name, sql });

/** The unit has at least `min` and at most `max` rows to load. */
export const rowCount = (bounds: { min?: number; max?: number }): RowCountCheck => ({ kind: 'rowCount', name: 'rowCount', ...bounds });
