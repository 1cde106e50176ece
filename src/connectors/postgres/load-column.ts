/** A column of the rows to load, as the target's table declares it. */
export interface LoadColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly notNull: boolean;
}
