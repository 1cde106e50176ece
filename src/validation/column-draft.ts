/** A column while its zod schema is taken apart. */
import type { ColumnCheck, ValueType } from './row-schema.ts';

/** A column's zod schema taken apart. */
export interface TakenApart {
  readonly type: ValueType;
  readonly nullable: boolean;
  readonly optional: boolean;
  readonly checks: readonly ColumnCheck[];
  readonly uncompiled: string | null;
  readonly sqlType: string;
  /** What a string of `isoDate` and `isoDatetime` must look like. */
  readonly pattern: RegExp | null;
  /** zod wants the value as received (coercion, preprocess): it must not be converted first. */
  readonly raw: boolean;
  readonly hasDefault?: boolean | undefined;
  readonly mayGiveNull?: boolean | undefined;
  /** zod has a value for what it refuses (`.catch()`): a value that cannot be converted is for it to judge. */
  readonly catches: boolean;
}

export interface Draft {
  /** A default stands in for what is missing. */
  defaulted: boolean;
  /** What the schema gives need not be what it was given: it may be null. */
  mayGiveNull: boolean;
  type: ValueType;
  nullable: boolean;
  optional: boolean;
  checks: ColumnCheck[];
  uncompiled: string | null;
  sqlType: string | null;
  pattern: RegExp | null;
  raw: boolean;
  catches: boolean;
}

export function setValues(draft: Draft, values: readonly unknown[]): void {
  const kept: (string | number | boolean)[] = [];
  for (const value of values) {
    if (value === null) draft.nullable = true;
    else if (value === undefined) draft.optional = true;
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') kept.push(value);
    else leaveToZod(draft, 'literal');
  }
  const types = new Set(kept.map((value) => typeof value));
  if (types.size === 1 && types.has('string')) draft.type = 'string';
  else if (types.size === 1 && types.has('boolean')) draft.type = 'boolean';
  else if (types.size === 1 && types.has('number')) draft.type = kept.every((value) => Number.isSafeInteger(value)) ? 'int' : 'number';
  else {
    setJson(draft, 'literals of several types');
    return;
  }
  draft.checks.push({ kind: 'oneOf', values: kept });
}

export function setJson(draft: Draft, because: string | null, nullable = false): void {
  draft.type = 'json';
  if (nullable) draft.nullable = true;
  if (because) leaveToZod(draft, because);
}

export function leaveToZod(draft: Draft, because: string): void {
  draft.uncompiled ??= because;
}
