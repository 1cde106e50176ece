/**
 * Columns of a table or query with their types, and which of them can go from one server to another by binary COPY untouched.
 *
 * A binary format travels where it depends on nothing in the database: arrays and records carry the OIDs of their elements, and OIDs of
 * types that somebody created differ between databases; reg* types are OIDs themselves.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT
 */

import type pg from 'pg';
import { ALIASES } from '../../validation/sql-type.ts';

/** A type with all that it is made of. */
export interface PostgresType {
  readonly oid: number;
  /** `int4`, `_text`, `mood`. */
  readonly name: string;
  /** As `format_type` writes it, without a length or precision: what a literal is cast to. */
  readonly castName: string;
  /** Base, composite, domain, enum, multirange, pseudo, range (`typtype`). */
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'm' | 'p' | 'r';
  readonly isArray: boolean;
  /** It has a binary send and a receive function. */
  readonly hasBinary: boolean;
  /** Elements of an array, base of a domain, values of a range; null for all others. */
  readonly inner: PostgresType | null;
}

export interface PostgresColumn {
  readonly name: string;
  readonly type: PostgresType;
  /** As `format_type` writes it, with length or precision. */
  readonly sqlType: string;
  readonly notNull: boolean;
  readonly generated: boolean;
  /** Labels, in their order, where the type (or the base of the domain) is an enum. */
  readonly enumLabels: readonly string[] | null;
  /** The role may read it. */
  readonly readable: boolean;
}

/** Something that runs a statement: a pool, or a transaction. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
}

/** The columns of a table or view, without dropped ones, in their order. */
export async function tableColumns(database: Queryable, oid: number): Promise<PostgresColumn[]> {
  const rows = await database.query<ColumnRow>(
    `select a.attname as name, a.atttypid::int8::text as oid, format_type(a.atttypid, a.atttypmod) as sqltype,
            a.attnotnull as notnull, a.attgenerated <> '' as generated, has_column_privilege(a.attrelid, a.attnum, 'SELECT') as readable
     from pg_attribute a where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [oid],
  );
  return await withTypes(database, rows);
}

/** The columns of a query, from its row description. A domain appears there as its base type. */
export async function queryColumns(database: Queryable, fields: readonly pg.FieldDef[]): Promise<PostgresColumn[]> {
  const rows = await database.query<ColumnRow>(
    `select name, oid::int8::text as oid, format_type(oid, typmod) as sqltype, false as notnull, false as generated, true as readable
     from unnest($1::text[], $2::oid[], $3::int[]) with ordinality as c (name, oid, typmod, place) order by place`,
    [fields.map((field) => field.name), fields.map((field) => field.dataTypeID), fields.map((field) => field.dataTypeModifier)],
  );
  return await withTypes(database, rows);
}

interface ColumnRow {
  readonly name: string;
  readonly oid: string;
  readonly sqltype: string;
  readonly notnull: boolean;
  readonly generated: boolean;
  readonly readable: boolean;
}

interface TypeRow {
  readonly oid: string;
  readonly name: string;
  readonly castname: string;
  readonly kind: PostgresType['kind'];
  readonly isarray: boolean;
  readonly hasbinary: boolean;
  readonly inner: string | null;
  readonly notnull: boolean;
  readonly labels: string[] | null;
}

const IS_ARRAY = `t.typelem <> 0 and t.typlen = -1 and t.typcategory = 'A'`;
/** The type that a type is made of. */
const INSIDE = `case when t.typtype = 'd' then t.typbasetype
  when t.typtype in ('r', 'm') then (select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid))
  when ${IS_ARRAY} then t.typelem end`;

async function withTypes(database: Queryable, columns: readonly ColumnRow[]): Promise<PostgresColumn[]> {
  const rows = await database.query<TypeRow>(
    `with recursive needed as (
       select t.oid, ${INSIDE} as inside from pg_type t where t.oid = any ($1::oid[])
       union
       select t.oid, ${INSIDE} from needed n join pg_type t on t.oid = n.inside
     )
     select t.oid::int8::text as oid, t.typname as name, format_type(t.oid, -1) as castname, t.typtype as kind,
            ${IS_ARRAY} as isarray, t.typsend <> 0 and t.typreceive <> 0 as hasbinary, n.inside::int8::text as inner, t.typnotnull as notnull,
            case when t.typtype = 'e' then
              (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) end as labels
     from needed n join pg_type t on t.oid = n.oid`,
    [[...new Set(columns.map((column) => column.oid))]],
  );
  const found = new Map(rows.map((row) => [row.oid, row]));
  const typeOf = (oid: string): PostgresType => {
    const row = found.get(oid);
    if (!row) throw new Error(`type ${oid} is gone from the catalogue`);
    const { name, kind, castname, isarray, hasbinary } = row;
    const inner = row.inner === null ? null : typeOf(row.inner);
    return { oid: Number(oid), name, castName: castname, kind, isArray: isarray, hasBinary: hasbinary, inner };
  };
  return columns.map((column) => {
    const type = typeOf(column.oid);
    return {
      name: column.name,
      type,
      sqlType: column.sqltype,
      notNull: column.notnull || (type.kind === 'd' && (found.get(column.oid)?.notnull ?? false)),
      generated: column.generated,
      enumLabels: found.get(String(baseType(type).oid))?.labels ?? null,
      readable: column.readable,
    };
  });
}

/** The type that a domain (of a domain) is made of; any other type as it is. */
export function baseType(type: PostgresType): PostgresType {
  return type.kind === 'd' && type.inner ? baseType(type.inner) : type;
}

/** OIDs from here on are given out by each database itself. */
const FIRST_OWN_OID = 16_384;

/** The binary format means the same in every database. */
export function hasPortableBinary(type: PostgresType): boolean {
  if (!type.hasBinary) return false;
  switch (type.kind) {
    case 'd':
      return type.inner !== null && hasPortableBinary(type.inner);
    case 'e':
      // Sent as its label.
      return true;
    case 'r':
    case 'm':
      return type.oid < FIRST_OWN_OID && type.inner !== null && hasPortableBinary(type.inner);
    case 'b':
      // The receive function of tsquery refuses the empty query that its send function writes.
      if (type.oid >= FIRST_OWN_OID || /^reg/.test(type.name) || type.name === 'tsquery') return false;
      return type.inner === null || hasPortableBinary(type.inner);
    default:
      return false;
  }
}

/** Other spellings of built-in types, and how `format_type` writes them. */
/** As the name of a type, without its length. */
const SPELLINGS: Readonly<Record<string, string>> = { ...ALIASES, char: 'character', bpchar: 'character' };

/**
 * A type's name as `format_type` writes it, without length and precision, which decide only what is refused or rounded, by the receiving
 * function and the input function alike.
 *
 * @example bareType('varchar(20)[]') // 'character varying[]'
 */
export function bareType(sqlType: string): string {
  if (sqlType.includes('"')) return sqlType;
  const tidy = sqlType.trim().toLowerCase().replace(/\s+/g, ' ');
  const [, name = tidy, brackets = ''] = /^(.*?)((?:\[\d*\])*)$/.exec(tidy) ?? [];
  const bare = name.replace(/ ?\([^)]*\)/, '').trim();
  return (SPELLINGS[bare] ?? bare) + (brackets ? '[]' : '');
}

/** The type as one that takes a longer value as it is, instead of cutting it. */
export function withoutLength(sqlType: string): string {
  const bare = bareType(sqlType);
  // Of numeric, what is rounded is the value that is stored. `character` alone is character(1), and bpchar has no length.
  if (bare === 'numeric') return sqlType;
  return bare === 'character' ? 'bpchar' : bare;
}

/** Two values of this type are equal only where they show the same; not so `1.0` and `1.00`, or texts of some collations. */
export function equalMeansSame(sqlType: string): boolean {
  return /^(smallint|integer|bigint|boolean|date|uuid|oid|bytea|timestamp with(out)? time zone)$/.test(bareType(sqlType));
}

/** Types whose binary format is their text. */
const TEXTUAL = new Set(['text', 'character varying', 'character']);

/** Casts that give what the other type's input function makes of the text, so that the source can do them. */
const WIDENS: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint', 'numeric', 'double precision'],
  integer: ['bigint', 'numeric', 'double precision'],
  bigint: ['numeric', 'double precision'],
  numeric: ['double precision'],
};

/** How a column can go into a column of another type by binary COPY. */
export type BinaryFit =
  | 'untouched'
  /** After a cast in the query of the source. */
  | 'cast'
  | 'no';

/** @param sqlType type of the receiving column */
export function binaryFit(column: PostgresColumn, sqlType: string): BinaryFit {
  if (!hasPortableBinary(column.type)) return 'no';
  const wanted = bareType(sqlType);
  if (bareType(column.sqlType) === wanted) return 'untouched';
  const base = baseType(column.type);
  if (column.type.kind === 'd' && bareType(base.castName) === wanted) return 'untouched';
  const have = bareType(base.castName);
  if (TEXTUAL.has(wanted) && (TEXTUAL.has(have) || have === 'name' || base.kind === 'e')) return 'untouched';
  return WIDENS[have]?.includes(wanted) ? 'cast' : 'no';
}
