/** Names of PostgreSQL's types. */
export interface SqlType {
  /** `character varying`, `timestamp with time zone`, `integer`. */
  readonly base: string;
  readonly modifiers: readonly number[];
  readonly array: boolean;
}

/** Short names of types, and what `format_type` writes for them. */
export const ALIASES: Readonly<Record<string, string>> = {
  int: 'integer',
  int4: 'integer',
  int2: 'smallint',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  float: 'double precision',
  decimal: 'numeric',
  bool: 'boolean',
  varchar: 'character varying',
  char: 'character',
  bpchar: 'blank padded',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
  time: 'time without time zone',
  timetz: 'time with time zone',
  varbit: 'bit varying',
};

/** Takes the name of a type apart. */
export function readSqlType(sqlType: string): SqlType {
  const array = sqlType.trimEnd().endsWith(']');
  const element = sqlType.replace(/(\s*\[\d*\])+\s*$/, '').trim();
  const modifiers = /\(([\d\s,-]+)\)/.exec(element)?.[1]?.split(',').map(Number) ?? [];
  const base = element
    .replace(/\s*\([\d\s,-]+\)/, '')
    .replace(/\s+/g, ' ')
    .toLowerCase();
  // Unlike the bare name, `character` with no length is character(1).
  if (base === 'character' || base === 'char') return { base: 'character', modifiers: modifiers.length > 0 ? modifiers : [1], array };
  return { base: ALIASES[base] ?? base, modifiers, array };
}
