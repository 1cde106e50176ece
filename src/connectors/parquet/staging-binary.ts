/** How a value of DuckDB becomes one of PostgreSQL's binary COPY format, for the types whose form is simple there. */
import type { BinaryForm } from './copy-binary.ts';
import { parseStagingType } from './staging-text.ts';
import type { DuckType } from './types.ts';

export interface StagingBinary {
  /** Expression whose value DuckDB writes to Parquet; null where the column has no values. */
  readonly sql: string | null;
  readonly form: BinaryForm;
}

export const NULL_BINARY: StagingBinary = { sql: null, form: { kind: 'null' } };

const INTEGERS = { smallint: ['SMALLINT', 'int2'], integer: ['INTEGER', 'int4'], bigint: ['BIGINT', 'int8'] } as const;
const MAX_PRECISION = 38;

/**
 * Only for a column that `stagingText` accepts, and rows without its faults: the value arrives as it does as text.
 * @returns null where it travels as text
 */
export function stagingBinary(type: DuckType, ref: string, sqlType: string): StagingBinary | null {
  const { base } = parseStagingType(sqlType);
  const as = (sql: string, kind: Exclude<BinaryForm['kind'], 'numeric'>): StagingBinary => ({ sql, form: { kind } });
  switch (base) {
    case 'boolean':
      return as(`${ref}::TINYINT`, 'boolean');
    case 'smallint':
    case 'integer':
    case 'bigint': {
      const [duck, kind] = INTEGERS[base];
      return as(type.sql === duck ? ref : `TRY_CAST(${ref} AS ${duck})`, kind);
    }
    case 'real':
      // A double is rounded by the server, from its text.
      return type.kind === 'float' ? as(ref, 'float4') : null;
    case 'double precision':
      return type.kind === 'float' || type.kind === 'double' ? as(`${ref}::DOUBLE`, 'float8') : null;
    case 'numeric':
      return numeric(type, ref);
    case 'text':
      return as(type.sql === 'VARCHAR' ? ref : `${ref}::VARCHAR`, 'text');
    case 'character varying':
    case 'character':
      return type.kind === 'text' ? as(type.sql === 'VARCHAR' ? ref : `${ref}::VARCHAR`, 'text') : null;
    case 'uuid':
      return type.kind === 'uuid' ? as(ref, 'uuid') : null;
    case 'date':
      return type.kind === 'date' ? as(ref, 'date') : null;
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      if (type.kind === 'timestamptz' || type.sql === 'TIMESTAMP') return as(ref, 'timestamp');
      return type.kind === 'date' || type.kind === 'timestamp' ? as(`TRY_CAST(${ref} AS TIMESTAMP)`, 'timestamp') : null;
    default:
      return null;
  }
}

function numeric({ kind, precision, scale, sql, max }: DuckType, ref: string): StagingBinary | null {
  if (kind === 'decimal' && precision !== undefined && scale !== undefined)
    return { sql: ref, form: { kind: 'numeric', precision, scale } };
  if (kind !== 'integer' || max === undefined) return null;
  const digits = max.toString().length;
  // Of more digits is no DECIMAL.
  if (digits > MAX_PRECISION || sql.endsWith('HUGEINT')) return null;
  return { sql: `${ref}::DECIMAL(${digits}, 0)`, form: { kind: 'numeric', precision: digits, scale: 0 } };
}
