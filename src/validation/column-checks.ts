/** Zod's checks of a value as checks that every path can make; what cannot be said so is left to zod. */
import { type Draft, leaveToZod } from './column-draft.ts';
import { nameOfCheck, type ZodNode } from './zod-node.ts';

const NUMBER_FORMATS: Readonly<Record<string, readonly [number, number] | null>> = {
  safeint: null,
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  float32: [-3.4028234663852886e38, 3.4028234663852886e38],
  float64: null,
};

const BIGINT_FORMATS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/** @param node a check, or a schema that is a check itself (`z.int()`, `z.email()`) */
export function addCheck(node: ZodNode, draft: Draft): void {
  const { checks } = draft;
  const { def } = node._zod;
  switch (def.check) {
    case 'less_than':
    case 'greater_than': {
      const kind = def.check === 'less_than' ? 'max' : 'min';
      const { value } = def;
      if (typeof value === 'object' && def.inclusive) checks.push({ kind: `${kind}Date`, value: new Date(value) });
      else if (typeof value === 'number' || typeof value === 'bigint') checks.push({ kind, value, inclusive: def.inclusive === true });
      else leaveToZod(draft, `${kind} date, exclusive`);
      return;
    }
    case 'multiple_of':
      if (typeof def.value === 'number' || typeof def.value === 'bigint') checks.push({ kind: 'multipleOf', value: def.value });
      return;
    case 'number_format':
      addNumberFormat(def.format ?? 'float64', draft);
      return;
    case 'bigint_format': {
      const range = BIGINT_FORMATS[def.format ?? ''];
      if (!range) {
        leaveToZod(draft, `format ${def.format}`);
        return;
      }
      checks.push({ kind: 'min', value: range[0], inclusive: true }, { kind: 'max', value: range[1], inclusive: true });
      if (def.format === 'int64') draft.sqlType ??= 'bigint';
      return;
    }
    case 'min_length':
      addLength('minLength', def.minimum, node, draft);
      return;
    case 'max_length':
      addLength('maxLength', def.maximum, node, draft);
      return;
    case 'length_equals':
      addLength('length', def.length, node, draft);
      return;
    case 'string_format':
      addStringFormat(node, draft);
      return;
    default:
      leaveToZod(draft, nameOfCheck(node));
  }
}

function addNumberFormat(format: string, draft: Draft): void {
  const range = NUMBER_FORMATS[format];
  if (range === undefined) {
    leaveToZod(draft, `format ${format}`);
    return;
  }
  if (format.includes('int')) draft.type = 'int';
  if (format === 'int32') draft.sqlType ??= 'integer';
  if (range) draft.checks.push({ kind: 'min', value: range[0], inclusive: true }, { kind: 'max', value: range[1], inclusive: true });
}

/** Formats whose verdict is that of their pattern, and nothing besides. */
const PATTERNS = new Set(
  'regex lowercase uppercase email emoji uuid guid nanoid cuid cuid2 ulid xid ksuid ipv4 mac cidrv4 e164 date time datetime duration'.split(
    ' ',
  ),
);
/** Formats that zod judges by more than a pattern, and that leave the value as it is (a URL is trimmed). */
const JUDGED = new Set('ipv6 cidrv6 base64 base64url jwt'.split(' '));

function addStringFormat(node: ZodNode, draft: Draft): void {
  const { def } = node._zod;
  const { checks } = draft;
  const { format = '' } = def;
  const asDay = format === 'date';
  const asInstant = format === 'datetime' && (def.precision === null || def.precision === undefined);
  if (def.pattern && draft.type === 'string' && checks.length === 0 && !draft.uncompiled && (asDay || asInstant)) {
    draft.type = asDay ? 'isoDate' : 'isoDatetime';
    draft.pattern = def.pattern;
    return;
  }
  if (format === 'starts_with' && def.prefix !== undefined) checks.push({ kind: 'startsWith', value: def.prefix });
  else if (format === 'ends_with' && def.suffix !== undefined) checks.push({ kind: 'endsWith', value: def.suffix });
  else if (format === 'includes' && def.includes !== undefined && !def.position) checks.push({ kind: 'includes', value: def.includes });
  else if (PATTERNS.has(format) && def.pattern) checks.push({ kind: 'format', format, test: matching(def.pattern), pattern: def.pattern });
  else if (JUDGED.has(format)) checks.push({ kind: 'format', format, test: testOf(node), pattern: null });
  else leaveToZod(draft, nameOfCheck(node));
}

/** Zod's own way of asking a pattern, which may be global or sticky. */
function matching(pattern: RegExp): (value: string) => boolean {
  return (value) => {
    pattern.lastIndex = 0;
    return pattern.test(value);
  };
}

/** Asks zod's own check. */
function testOf(node: ZodNode): (value: string) => boolean {
  return (value) => {
    const payload = { value, issues: [] };
    node._zod.check?.(payload);
    return payload.issues.length === 0;
  };
}

function addLength(kind: 'minLength' | 'maxLength' | 'length', value: number | undefined, node: ZodNode, draft: Draft): void {
  if (value === undefined) leaveToZod(draft, 'length');
  else if (countsCodePoints(node)) draft.checks.push({ kind, value });
  else leaveToZod(draft, 'length in UTF-16 code units');
}

/** Asks this copy of zod itself: one character of two code units has the length 1 or 2. */
function countsCodePoints(check: ZodNode): boolean {
  const probe = new check._zod.constr({ check: 'length_equals', ...check._zod.def, minimum: 2, maximum: 1, length: 1 });
  const payload = { value: '\u{1f600}', issues: [] };
  probe._zod.check?.(payload);
  return check._zod.def.check === 'min_length' ? payload.issues.length === 1 : payload.issues.length === 0;
}
