/**
 * The row schema as the rest of Sluice sees it: zod's object taken apart into columns, each with the type of value it holds,
 * the checks that could be compiled, and the PostgreSQL type that stores it.
 */
import type { z } from 'zod';

/** Types of value that a column can hold. */
export type ValueType =
  | 'string'
  | 'int'
  | 'number'
  | 'bigint'
  | 'boolean'
  /** `z.date()`: an instant, a JavaScript Date. */
  | 'date'
  /** `z.iso.date()`: a calendar day as text, `2001-02-28`. */
  | 'isoDate'
  /** `z.iso.datetime()`: an instant as text. */
  | 'isoDatetime'
  /** Objects, arrays, records, unions that are not literals: stored as jsonb. */
  | 'json';

/** A check that every path gives the same verdict on. */
export type ColumnCheck =
  | { readonly kind: 'min' | 'max'; readonly value: number | bigint; readonly inclusive: boolean }
  | { readonly kind: 'multipleOf'; readonly value: number | bigint }
  | { readonly kind: 'minLength' | 'maxLength' | 'length'; readonly value: number }
  | { readonly kind: 'startsWith' | 'endsWith' | 'includes'; readonly value: string }
  /** A regular expression or a format of strings. Its verdict is zod's own: JavaScript asks it in the worker, on the value of this column. */
  | {
      readonly kind: 'format';
      /** As zod names it: `regex`, `email`, `ipv4`. */
      readonly format: string;
      readonly test: (value: string) => boolean;
      /** Where it says all of the verdict, so that it may be translated. */
      readonly pattern: RegExp | null;
    }
  | { readonly kind: 'oneOf'; readonly values: readonly (string | number | boolean | null)[] }
  | { readonly kind: 'minDate' | 'maxDate'; readonly value: Date };

export interface ColumnType {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  /** The column may be missing from a record. */
  readonly optional: boolean;
  /** What is missing gets a value by the schema, so that the column never holds NULL although it is optional. */
  readonly hasDefault?: true;
  /** What the schema makes of a value may be null, though it is given none (a transform). */
  readonly mayGiveNull?: true;
  readonly checks: readonly ColumnCheck[];
  /** PostgreSQL type for the target that Sluice creates; from `.meta({ sqlType })` where given. */
  readonly sqlType: string;
  /** Why this column needs zod itself to be judged (a refinement, a transform, a default); null where `checks` say all. */
  readonly uncompiled: string | null;
}

export interface RowSchema {
  readonly columns: readonly ColumnType[];
  /** The schema as the user wrote it: the reference for every verdict. */
  readonly zod: z.ZodObject;
  /** Why the row as a whole needs zod (a refinement over several columns); null where the columns say all. */
  readonly uncompiled: string | null;
}
