/**
 * What is read of zod's own objects. `_zod.def` only, never `instanceof`: a pipeline module may bring its own copy of zod.
 */

/** What is read of a zod definition; zod's own types differ between its copies. */
export interface ZodNode {
  readonly _zod: {
    readonly def: ZodDef;
    readonly constr: new (def: Record<string, unknown>) => ZodNode;
    readonly check?: (payload: { value: unknown; issues: unknown[] }) => void;
  };
  readonly meta?: () => unknown;
}

export interface ZodDef {
  readonly type?: string;
  readonly check?: string;
  readonly checks?: readonly ZodNode[];
  readonly format?: string;
  readonly pattern?: RegExp;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly includes?: string;
  readonly position?: number;
  readonly precision?: number | null;
  readonly coerce?: boolean;
  readonly value?: number | bigint | Date;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly length?: number;
  readonly entries?: Readonly<Record<string, string | number>>;
  readonly values?: readonly unknown[];
  readonly options?: readonly ZodNode[];
  readonly innerType?: ZodNode;
  readonly in?: ZodNode;
  readonly out?: ZodNode;
  readonly getter?: () => ZodNode;
  readonly shape?: Readonly<Record<string, ZodNode>>;
}

export function literalValues(schema: ZodNode): readonly unknown[] | null {
  const def = schema._zod.def;
  if (def.checks?.length) return null;
  if (def.type === 'literal') return def.values ?? null;
  if (def.type === 'enum' && def.entries) return enumValues(def.entries);
  return null;
}

/** TypeScript's numeric enums also map their numbers back to names; those entries are no values. */
export function enumValues(entries: Readonly<Record<string, string | number>>): readonly unknown[] {
  const numbers = new Set(Object.values(entries).filter((value) => typeof value === 'number'));
  return Object.entries(entries)
    .filter(([key]) => !numbers.has(Number(key)))
    .map(([, value]) => value);
}

export function nameOfCheck(check: ZodNode): string {
  const def = check._zod.def;
  switch (def.check) {
    case 'custom':
      return 'refinement';
    case 'overwrite':
      return 'transform';
    case 'string_format':
      return def.format === 'url' ? 'format url, which trims' : `format ${def.format}`;
    default:
      return (def.check ?? 'check').replaceAll('_', ' ');
  }
}

export function sqlTypeFromMeta(schema: ZodNode): string | null {
  const meta = typeof schema.meta === 'function' ? schema.meta() : undefined;
  const sqlType = (meta as { sqlType?: unknown } | undefined)?.sqlType;
  return typeof sqlType === 'string' ? sqlType : null;
}

/** `z.json()`: any value that JSON has, so that every parsed JSON passes. */
export function isJsonSchema(schema: ZodNode): boolean {
  const def = schema._zod.def;
  if (!def.getter || def.checks?.length) return false;
  const union = def.getter()._zod.def;
  if (union.type !== 'union' || union.checks?.length) return false;
  const options = union.options ?? [];
  const kinds = new Set(options.filter((option) => !option._zod.def.checks?.length).map((option) => option._zod.def.type));
  const wanted = ['string', 'number', 'boolean', 'null', 'array', 'record'];
  if (options.length !== wanted.length || !wanted.every((kind) => kinds.has(kind))) return false;
  return options.every((option) => {
    const each = option._zod.def as { type?: string; element?: unknown; valueType?: unknown };
    return (each.type !== 'array' || each.element === schema) && (each.type !== 'record' || each.valueType === schema);
  });
}
