/** A column's compiled checks as one function, with exactly zod's verdict. */
import type { TakenApart } from './compile.ts';
import { EXPECTED } from './convert.ts';
import { reasonOfCheck } from './reasons.ts';
import type { ColumnCheck } from './row-schema.ts';

/** The reason for which the value is refused, or null. The value is of the column's type and not null. */
export type Judge = (value: unknown) => string | null;

/** @returns null where every value of the type passes */
export function compileChecks(column: TakenApart): Judge | null {
  const judges: Judge[] = [];
  const { pattern } = column;
  if (pattern) {
    const reason = EXPECTED[column.type];
    judges.push((value) => {
      pattern.lastIndex = 0;
      return pattern.test(value as string) ? null : reason;
    });
  }
  for (const check of column.checks) judges.push(judgeOf(check));
  const [first, second, third] = judges;
  if (!first) return null;
  if (!second) return first;
  if (!third) return (value) => first(value) ?? second(value);
  return (value) => {
    for (const judge of judges) {
      const reason = judge(value);
      if (reason !== null) return reason;
    }
    return null;
  };
}

function judgeOf(check: ColumnCheck): Judge {
  const reason = reasonOfCheck(check);
  switch (check.kind) {
    case 'min': {
      const limit = check.value;
      return check.inclusive
        ? (value) => ((value as number) >= limit ? null : reason)
        : (value) => ((value as number) > limit ? null : reason);
    }
    case 'max': {
      const limit = check.value;
      return check.inclusive
        ? (value) => ((value as number) <= limit ? null : reason)
        : (value) => ((value as number) < limit ? null : reason);
    }
    case 'multipleOf': {
      const step = check.value;
      if (typeof step === 'bigint') return (value) => (step !== 0n && (value as bigint) % step === 0n ? null : reason);
      return (value) => (isMultiple(value as number, step) ? null : reason);
    }
    case 'minLength':
      return (value) => (atLeast(value as string, check.value) ? null : reason);
    case 'maxLength':
      return (value) => (atMost(value as string, check.value) ? null : reason);
    case 'length':
      return (value) => (atLeast(value as string, check.value) && atMost(value as string, check.value) ? null : reason);
    case 'startsWith':
      return (value) => ((value as string).startsWith(check.value) ? null : reason);
    case 'endsWith':
      return (value) => ((value as string).endsWith(check.value) ? null : reason);
    case 'includes':
      return (value) => ((value as string).includes(check.value) ? null : reason);
    case 'format':
      return (value) => (check.test(value as string) ? null : reason);
    case 'oneOf': {
      const values = new Set<unknown>(check.values);
      return (value) => (values.has(value) ? null : reason);
    }
    case 'minDate': {
      const limit = check.value.getTime();
      return (value) => ((value as Date).getTime() >= limit ? null : reason);
    }
    case 'maxDate': {
      const limit = check.value.getTime();
      return (value) => ((value as Date).getTime() <= limit ? null : reason);
    }
  }
}

/** Decimal multiples are not exact in doubles; the tolerance is zod's (`floatSafeRemainder` of zod 4.6). */
function isMultiple(value: number, step: number): boolean {
  const ratio = value / step;
  const tolerance = 4 * Number.EPSILON * Math.max(Math.abs(ratio), 1);
  return Math.abs(ratio - Math.round(ratio)) < tolerance;
}

/** A code point is one or two code units, so that counting is needed only in between. */
function atLeast(value: string, length: number): boolean {
  if (value.length < length) return false;
  return value.length >= length * 2 || codePoints(value) >= length;
}

function atMost(value: string, length: number): boolean {
  return value.length <= length || (value.length <= length * 2 && codePoints(value) <= length);
}

/** Length in Unicode code points, as PostgreSQL, DuckDB and zod 4.6 count it. */
export function codePoints(value: string): number {
  let count = value.length;
  for (let index = 0; index < value.length - 1; index++) {
    if ((value.charCodeAt(index) & 0xfc00) === 0xd800 && (value.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      count--;
      index++;
    }
  }
  return count;
}
