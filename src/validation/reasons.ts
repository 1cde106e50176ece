/**
 * The words in which a row is refused. Short, without values of the row, and the same whichever path judged it, so that
 * quarantined rows can be grouped by reason.
 */
import type { z } from 'zod';
import { EXPECTED, UNSAFE_INTEGER } from './convert.ts';
import { NO_SUCH_DATE } from './instants.ts';
import type { ColumnCheck } from './row-schema.ts';

export const MISSING = 'missing';
export const NULL_NOT_ALLOWED = 'null is not allowed';

const LONGEST_REASON = 200;

/** Formats of zod that are none to people. */
const FORMATS: Readonly<Record<string, string>> = {
  regex: 'does not match the regular expression',
  lowercase: 'not in lower case',
  uppercase: 'not in upper case',
};

/** What a value that fails the check is. */
export function reasonOfCheck(check: ColumnCheck): string {
  switch (check.kind) {
    case 'min':
      return check.inclusive ? `less than ${check.value}` : `not greater than ${check.value}`;
    case 'max':
      return check.inclusive ? `greater than ${check.value}` : `not less than ${check.value}`;
    case 'multipleOf':
      return `not a multiple of ${check.value}`;
    case 'minLength':
      return `shorter than ${check.value}`;
    case 'maxLength':
      return `longer than ${check.value}`;
    case 'length':
      return `length is not ${check.value}`;
    case 'startsWith':
      return shorten(`does not start with ${check.value}`);
    case 'endsWith':
      return shorten(`does not end with ${check.value}`);
    case 'includes':
      return shorten(`does not include ${check.value}`);
    case 'format':
      return FORMATS[check.format] ?? `not a valid ${check.format}`;
    case 'oneOf':
      return oneOf(check.values);
    case 'minDate':
      return `before ${check.value.toISOString()}`;
    case 'maxDate':
      return `after ${check.value.toISOString()}`;
  }
}

/** Zod's first issue in the words of {@link reasonOfCheck}. */
export function reasonOfIssue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return expected(issue);
    case 'too_small':
      return sized(issue, issue.origin, issue.minimum, 'min');
    case 'too_big':
      return sized(issue, issue.origin, issue.maximum, 'max');
    case 'not_multiple_of':
      return `not a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return reasonOfFormat(issue);
    case 'invalid_value':
      return oneOf(issue.values);
    case 'invalid_union':
      return 'fits none of the alternatives';
    case 'unrecognized_keys':
      return 'has unknown keys';
    case 'custom':
      return shorten(issue.message || 'refused by a refinement');
    default:
      return `refused: ${issue.code.replaceAll('_', ' ')}`;
  }
}

function reasonOfFormat(issue: z.core.$ZodIssue & { code: 'invalid_format' }): string {
  const { format, prefix, suffix, includes } = issue as { format: string; prefix?: string; suffix?: string; includes?: string };
  if (prefix !== undefined) return reasonOfCheck({ kind: 'startsWith', value: prefix });
  if (suffix !== undefined) return reasonOfCheck({ kind: 'endsWith', value: suffix });
  if (includes !== undefined) return reasonOfCheck({ kind: 'includes', value: includes });
  return FORMATS[format] ?? `not a valid ${format}`;
}

/** Of a row that the row schema let through, and that is refused for what a transform made of it. */
export function reasonOfOutput(reason: string): string {
  return shorten(`output: ${reason}`);
}

/** One line of at most 200 characters. */
export function shorten(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 3)}...` : line;
}

function oneOf(values: readonly unknown[]): string {
  return shorten(
    `not one of ${values
      .filter((value) => value !== null && value !== undefined)
      .map(String)
      .join(', ')}`,
  );
}

function expected(issue: z.core.$ZodIssue & { code: 'invalid_type' }): string {
  if (issue.input === null) return NULL_NOT_ALLOWED;
  if (issue.input === undefined && 'input' in issue) return MISSING;
  if (issue.expected === 'date' && (issue as { received?: string }).received === 'Invalid Date') return NO_SUCH_DATE;
  const known = EXPECTED[issue.expected as keyof typeof EXPECTED];
  return known ?? `expected ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`;
}

function sized(issue: z.core.$ZodIssue, origin: string, limit: number | bigint, side: 'min' | 'max'): string {
  if ((issue as { note?: string }).note) return UNSAFE_INTEGER;
  const { inclusive = true, exact = false } = issue as { inclusive?: boolean; exact?: boolean };
  switch (origin) {
    case 'number':
    case 'int':
    case 'bigint':
      return reasonOfCheck({ kind: side, value: limit, inclusive });
    case 'date':
      return reasonOfCheck({ kind: `${side}Date`, value: new Date(Number(limit)) });
    default:
      if (exact) return `length is not ${limit}`;
      return side === 'min' ? `shorter than ${limit}` : `longer than ${limit}`;
  }
}
