/** DuckDB's types as far as they matter here, and PostgreSQL's names for them. */

export type TypeKind =
  | 'boolean'
  | 'integer'
  | 'float'
  | 'double'
  | 'decimal'
  | 'text'
  | 'uuid'
  | 'blob'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'time'
  | 'timetz'
  | 'interval'
  | 'bit'
  | 'list'
  | 'json'
  | 'other';

export interface DuckType {
  /** As DuckDB writes it: `DECIMAL(18,3)`. */
  readonly sql: string;
  readonly kind: TypeKind;
  /** PostgreSQL's name of the type, as `format_type` writes it. */
  readonly postgres: string;
  /** For integers: the range of the type. */
  readonly min?: bigint;
  readonly max?: bigint;
  /** For decimals. */
  readonly precision?: number;
  readonly scale?: number;
}

const signed = (bits: bigint) => ({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n });
const unsigned = (bits: bigint) => ({ min: 0n, max: 2n ** bits - 1n });

const SIMPLE: Readonly<Record<string, Omit<DuckType, 'sql'>>> = {
  BOOLEAN: { kind: 'boolean', postgres: 'boolean' },
  TINYINT: { kind: 'integer', postgres: 'smallint', ...signed(8n) },
  SMALLINT: { kind: 'integer', postgres: 'smallint', ...signed(16n) },
  INTEGER: { kind: 'integer', postgres: 'integer', ...signed(32n) },
  BIGINT: { kind: 'integer', postgres: 'bigint', ...signed(64n) },
  HUGEINT: { kind: 'integer', postgres: 'numeric', ...signed(128n) },
  UTINYINT: { kind: 'integer', postgres: 'smallint', ...unsigned(8n) },
  USMALLINT: { kind: 'integer', postgres: 'integer', ...unsigned(16n) },
  UINTEGER: { kind: 'integer', postgres: 'bigint', ...unsigned(32n) },
  UBIGINT: { kind: 'integer', postgres: 'numeric', ...unsigned(64n) },
  UHUGEINT: { kind: 'integer', postgres: 'numeric', ...unsigned(128n) },
  FLOAT: { kind: 'float', postgres: 'real' },
  DOUBLE: { kind: 'double', postgres: 'double precision' },
  VARCHAR: { kind: 'text', postgres: 'text' },
  UUID: { kind: 'uuid', postgres: 'uuid' },
  BLOB: { kind: 'blob', postgres: 'bytea' },
  DATE: { kind: 'date', postgres: 'date' },
  TIMESTAMP: { kind: 'timestamp', postgres: 'timestamp without time zone' },
  TIMESTAMP_S: { kind: 'timestamp', postgres: 'timestamp without time zone' },
  TIMESTAMP_MS: { kind: 'timestamp', postgres: 'timestamp without time zone' },
  TIMESTAMP_NS: { kind: 'timestamp', postgres: 'timestamp without time zone' },
  'TIMESTAMP WITH TIME ZONE': { kind: 'timestamptz', postgres: 'timestamp with time zone' },
  TIME: { kind: 'time', postgres: 'time without time zone' },
  TIME_NS: { kind: 'time', postgres: 'time without time zone' },
  'TIME WITH TIME ZONE': { kind: 'timetz', postgres: 'time with time zone' },
  INTERVAL: { kind: 'interval', postgres: 'interval' },
  BIT: { kind: 'bit', postgres: 'bit varying' },
  JSON: { kind: 'json', postgres: 'jsonb' },
};

/** A type as `DESCRIBE` writes it. */
export function parseDuckType(sql: string): DuckType {
  const simple = SIMPLE[sql];
  if (simple) return { sql, ...simple };
  const list = /^(.*)\[\d*\]$/s.exec(sql);
  if (list) {
    const element = parseDuckType(list[1] ?? '');
    // PostgreSQL has no arrays of arrays that differ in length, and none of documents worth having.
    return element.kind === 'list' || element.postgres === 'jsonb'
      ? { sql, kind: 'json', postgres: 'jsonb' }
      : { sql, kind: 'list', postgres: `${element.postgres}[]` };
  }
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(sql);
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    return { sql, kind: 'decimal', postgres: `numeric(${precision},${scale})`, precision, scale };
  }
  if (sql.startsWith('ENUM(')) return { sql, kind: 'text', postgres: 'text' };
  if (/^(STRUCT|MAP|UNION|VARIANT)\b/.test(sql)) return { sql, kind: 'json', postgres: 'jsonb' };
  return { sql, kind: 'other', postgres: 'text' };
}
