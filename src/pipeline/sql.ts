/** A transform in SQL: a SELECT over `staging`, run in the target database. */
export interface SqlTransform {
  readonly kind: 'sql';
  readonly text: string;
}

/**
 * A SELECT over `staging` (the rows extracted, with the columns of the row schema) that gives the rows to load. With
 * `commit: 'partition'` it sees one partition at a time.
 *
 * @example
 * sql`select region, count(*) as orders from staging group by region`
 */
export function sql(strings: TemplateStringsArray, ...values: readonly (string | number)[]): SqlTransform {
  return { kind: 'sql', text: String.raw({ raw: strings }, ...values) };
}
