/** Rows cannot travel as bytes: they have to be looked at one by one. */
export class NeedsRecords {
  /** Why, for people: `column "name": regular expression`. */
  readonly because: string;
  constructor(because: string) {
    this.because = because;
  }
}
