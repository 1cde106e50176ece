/**
 * Columns whose values JavaScript would change although the schema does not: digits beyond a double's, the sign of zero, how a document or a
 * number is written, and the document `null`, which is not NULL. Rows that travel as bytes keep them, so rows that travel as records do.
 */

import type { ValueOrigin } from './convert.ts';
import { ExactNumber } from './exact-number.ts';
import type { RowSchema } from './row-schema.ts';
import { readSqlType } from './sql-type.ts';

export interface ColumnAsGiven {
  readonly name: string;
  /** Of what was received and what was made of it, the value to store; undefined for the latter. */
  readonly keep: (given: unknown, parsed: unknown) => unknown;
  /** What is kept is the text of a document, not a string. */
  readonly isJsonText: boolean;
}

/** @param from what the values are as received */
export function columnsAsGiven(
  schema: RowSchema,
  staged: readonly { readonly name: string; readonly sqlType: string }[],
  from: ValueOrigin,
): ColumnAsGiven[] {
  if (schema.uncompiled !== null) return [];
  return schema.columns.flatMap(({ name, type, uncompiled }): ColumnAsGiven[] => {
    const { base, array } = readSqlType(staged.find((column) => column.name === name)?.sqlType ?? '');
    const kept = (keep: ColumnAsGiven['keep'], isJsonText = false) => [{ name, keep, isJsonText }];
    if (uncompiled !== null || type === 'string' || array) return [];
    if (TEXTS.has(base)) return kept(keepText);
    if (type === 'json') return from === 'text' && (base === 'json' || base === 'jsonb') ? kept(keepText, true) : [];
    if (type === 'int' || type === 'bigint') return FLOATS.has(base) ? kept(keepNumber) : [];
    if (type !== 'number') return [];
    if (base === 'numeric' || FLOATS.has(base)) return kept(keepNumber);
    return INTEGERS.has(base) ? kept(keepWhole) : [];
  });
}

/** Types that hold any text. */
export const TEXTS: ReadonlySet<string> = new Set(['text', 'character varying', 'character', 'blank padded']);
const FLOATS = new Set(['real', 'double precision']);
const INTEGERS = new Set(['smallint', 'integer', 'bigint']);

const keepText = (given: unknown) => (typeof given === 'string' || given instanceof ExactNumber ? given : undefined);
const keepNumber = (given: unknown, parsed: unknown) => (typeof parsed === 'number' || typeof parsed === 'bigint' ? given : undefined);
/** An integer type refuses `1e3`, which is a number to the schema. */
const keepWhole = (given: unknown, parsed: unknown) =>
  typeof parsed === 'number' && typeof given === 'string' && /^[+-]?\d+$/.test(given) ? given : undefined;
