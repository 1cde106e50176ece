/**
 * How a value of DuckDB is written for `COPY ... FROM STDIN (FORMAT csv)`, so that PostgreSQL reads the same value, and what
 * the staging column cannot hold: one such row would fail the whole COPY.
 */
import type { Fault } from './checks-sql.ts';
import type { DuckType } from './types.ts';

export interface StagingText {
  /** Expression whose text, as DuckDB writes it to CSV, PostgreSQL takes for the value. */
  readonly sql: string;
  readonly faults: readonly Fault[];
}

export interface StagingType {
  readonly base: string;
  readonly args: readonly number[];
}

/** Takes apart PostgreSQL's name of a type: `character varying(3)`, `timestamp(3) without time zone`. */
export function parseStagingType(sqlType: string): StagingType {
  const args = /\(([\d\s,-]+)\)/.exec(sqlType);
  const base = sqlType
    .replace(/\s*\([\d\s,-]+\)/, '')
    .trim()
    .toLowerCase();
  return {
    base: ALIASES[base] ?? base,
    args: (args?.[1] ?? '')
      .split(',')
      .filter((each) => each.trim() !== '')
      .map(Number),
  };
}

const ALIASES: Readonly<Record<string, string>> = {
  int: 'integer',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  decimal: 'numeric',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  varchar: 'character varying',
  char: 'character',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  time: 'time without time zone',
};

const INTEGERS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  smallint: [-(2n ** 15n), 2n ** 15n - 1n],
  integer: [-(2n ** 31n), 2n ** 31n - 1n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** https://www.postgresql.org/docs/current/datatype-datetime.html: timestamps begin 4713 BC, which DuckDB's precede. */
const EARLIEST = '4713-01-01 (BC)';
/** Greatest finite value that rounds to a `real`. */
const REAL_MAX = '3.4028235677973366e38';
const REAL_MIN = '7.006492321624085e-46';

/**
 * Text of a column for a staging type; null where it could not arrive exactly, or PostgreSQL could refuse it.
 * @param sqlType the staging column's type as `format_type` writes it
 * @param wholeNumbers the schema lets only whole numbers pass
 */
export function stagingText(name: string, type: DuckType, ref: string, sqlType: string, wholeNumbers: boolean): StagingText | null {
  const staging = parseStagingType(sqlType);
  const fault = (when: string, reason: string): Fault => ({ column: name, when, reason });
  const outOfRange = `out of range for ${sqlType}`;
  const asIs = (sql: string, ...faults: Fault[]): StagingText => ({ sql, faults });

  switch (type.kind) {
    case 'boolean':
      return staging.base === 'boolean' ? asIs(ref) : null;
    case 'text':
      return text(staging, `${ref}${type.sql === 'VARCHAR' ? '' : '::VARCHAR'}`, fault);
    case 'uuid':
      return staging.base === 'uuid' || staging.base === 'text' ? asIs(ref) : null;
    case 'blob':
      return staging.base === 'bytea' ? asIs(`'\\x' || lower(hex(${ref}))`) : null;
    case 'integer': {
      const range = INTEGERS[staging.base];
      if (range) return asIs(ref, ...beyond(type, ref, range).map((when) => fault(when, outOfRange)));
      if (staging.base === 'numeric') return numeric(staging, type, ref, outOfRange, fault);
      return staging.base === 'double precision' || staging.base === 'text' ? asIs(ref) : null;
    }
    case 'float':
    case 'double': {
      const range = INTEGERS[staging.base];
      // The schema's own check refuses what is beyond 2^53 before this.
      if (range && wholeNumbers) {
        return asIs(`TRY_CAST(${ref} AS BIGINT)`, ...beyondFloat(ref, range).map((when) => fault(when, outOfRange)));
      }
      if (staging.base === 'double precision') return asIs(`${ref}::DOUBLE`);
      if (staging.base === 'numeric') return staging.args.length === 0 ? asIs(doubleText(ref)) : null;
      if (staging.base !== 'real') return null;
      if (type.kind === 'float') return asIs(ref);
      const tooLarge = `${ref} >= ${REAL_MAX} OR ${ref} <= -${REAL_MAX}`;
      const tooSmall = `${ref} != 0 AND ${ref} > -${REAL_MIN} AND ${ref} < ${REAL_MIN}`;
      return asIs(ref, fault(`isfinite(${ref}) AND (${tooLarge} OR (${tooSmall}))`, outOfRange));
    }
    case 'decimal':
      if (staging.base === 'numeric') return numeric(staging, type, ref, outOfRange, fault);
      return staging.base === 'double precision' || staging.base === 'text' ? asIs(ref) : null;
    case 'date':
      if (staging.base === 'date') return asIs(instantText(ref, ''), fault(`isfinite(${ref}) AND ${ref} < DATE '${EARLIEST}'`, outOfRange));
      if (!isTimestamp(staging)) return null;
      return instant(
        `TRY_CAST(${ref} AS TIMESTAMP)`,
        staging,
        [fault(`${ref} IS NOT NULL AND TRY_CAST(${ref} AS TIMESTAMP) IS NULL`, outOfRange)],
        fault,
        outOfRange,
      );
    case 'timestamp':
    case 'timestamptz': {
      if (!isTimestamp(staging)) return null;
      const plain = type.kind === 'timestamptz' || type.sql !== 'TIMESTAMP' ? `${ref}::TIMESTAMP` : ref;
      return instant(plain, staging, [], fault, outOfRange);
    }
    case 'time':
      return staging.base === 'time without time zone' ? asIs(ref) : null;
    default:
      return null;
  }
}

type MakeFault = (when: string, reason: string) => Fault;

const isTimestamp = (staging: StagingType): boolean =>
  staging.base === 'timestamp without time zone' || staging.base === 'timestamp with time zone';

function text(staging: StagingType, ref: string, fault: MakeFault): StagingText | null {
  const noNul = fault(`contains(${ref}, chr(0))`, 'contains a NUL byte');
  if (staging.base === 'text') return { sql: ref, faults: [noNul] };
  if (staging.base !== 'character varying' && staging.base !== 'character') return null;
  const limit = staging.args[0] ?? (staging.base === 'character' ? 1 : undefined);
  // PostgreSQL cuts off blanks beyond the limit, as SQL wants it.
  return {
    sql: ref,
    faults: limit === undefined ? [noNul] : [noNul, fault(`length(rtrim(${ref}, ' ')) > ${limit}`, `longer than ${limit}`)],
  };
}

/** A float as JavaScript writes it: all that a double has of it, and no `.0`, which a numeric would keep. */
const doubleText = (ref: string): string => `regexp_replace(${ref}::DOUBLE::VARCHAR, '\\.0$', '')`;

/** Conditions on an integer of this type that lies outside of a range; none where all of its values are inside. */
function beyond(type: DuckType, ref: string, [low, high]: readonly [bigint, bigint]): string[] {
  const conditions: string[] = [];
  if (type.min === undefined || type.min < low) conditions.push(`${ref} < (${low})`);
  if (type.max === undefined || type.max > high) conditions.push(`${ref} > ${high}`);
  return conditions.length > 0 ? [conditions.join(' OR ')] : [];
}

function beyondFloat(ref: string, [low, high]: readonly [bigint, bigint]): string[] {
  return high >= BigInt(Number.MAX_SAFE_INTEGER) ? [] : [`${ref} < (${low}) OR ${ref} > ${high}`];
}

function numeric(staging: StagingType, type: DuckType, ref: string, reason: string, fault: MakeFault): StagingText | null {
  const [precision, scale = 0] = staging.args;
  if (precision === undefined) return { sql: ref, faults: [] };
  const digits = precision - scale;
  if (type.kind === 'integer') {
    if (scale < 0) return null;
    const limit = 10n ** BigInt(Math.max(digits, 0));
    return { sql: ref, faults: beyond(type, ref, [1n - limit, limit - 1n]).map((when) => fault(when, reason)) };
  }
  if (type.kind !== 'decimal') return null;
  // More digits after the point would be rounded off: not exactly what the source has, so the row itself is looked at.
  const { precision: from = 38, scale: fromScale = 0 } = type;
  return scale >= fromScale && digits >= from - fromScale ? { sql: ref, faults: [] } : null;
}

/** Text of a timestamp: of UTC, with an offset where the staging column has a time zone, so that no session's zone matters. */
function instant(ref: string, staging: StagingType, faults: readonly Fault[], fault: MakeFault, reason: string): StagingText {
  return {
    sql: instantText(ref, staging.base === 'timestamp with time zone' ? '+00' : ''),
    faults: [...faults, fault(`isfinite(${ref}) AND ${ref} < TIMESTAMP '${EARLIEST}'`, reason)],
  };
}

/** DuckDB writes years before 1 as `0044-03-15 (BC) 10:00:00`, PostgreSQL `0044-03-15 10:00:00 BC`. */
function instantText(ref: string, offset: string): string {
  const before = `replace(${ref}::VARCHAR, ' (BC)', '') || '${offset} BC'`;
  const usual = offset === '' ? `${ref}::VARCHAR` : `${ref}::VARCHAR || '${offset}'`;
  return `CASE WHEN NOT isfinite(${ref}) THEN ${ref}::VARCHAR WHEN ${ref} < '0001-01-01' THEN ${before} ELSE ${usual} END`;
}
