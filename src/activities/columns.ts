/** Which columns are read, staged and loaded, and with which types; refuses what does not fit before anything starts. */
import { type Connection, type Database, quoteName } from '../connectors/postgres/database.ts';
import { sqlState } from '../connectors/postgres/errors.ts';
import type { TargetColumn, TargetTable } from '../connectors/postgres/target-table.ts';
import type { SourceDescription } from '../connectors/source.ts';
import { PermanentError } from '../errors.ts';
import type { PlannedColumn } from '../ledger/run-plan.ts';
import { type BoundPipeline, stagedSchema } from '../pipeline/definition.ts';

const RESERVED = /^_sluice_/;

/** Columns read from the source: those of the row schema, or all. */
export function readColumns(pipeline: BoundPipeline, source: SourceDescription): string[] {
  const available = source.columns.map((column) => column.name);
  if (!pipeline.row) {
    if (!source.sampled && available.length > 0) return available;
    throw new PermanentError(
      'InvalidDefinition',
      `${pipeline.name}: ${source.label} does not say all its columns. Give the pipeline a row schema, or the source its columns.`,
    );
  }
  const names = pipeline.row.columns.map((column) => column.name);
  if (source.sampled) return names;
  const missing = pipeline.row.columns.find((column) => !column.optional && !available.includes(column.name));
  if (missing) {
    throw new PermanentError(
      'MissingColumn',
      `${pipeline.name}: ${source.label} has no column "${missing.name}" of the row schema. It has: ${available.join(', ')}.`,
    );
  }
  return names.filter((name) => available.includes(name));
}

/** Columns of staging: as the target has them, or else as the source or the schema says. */
export function stagedColumns(pipeline: BoundPipeline, source: SourceDescription, target: TargetTable, label: string): PlannedColumn[] {
  const schema = stagedSchema(pipeline);
  const names = schema ? schema.columns.map((column) => column.name) : source.columns.map((column) => column.name);
  for (const name of names) {
    if (RESERVED.test(name))
      throw new PermanentError('InvalidDefinition', `${pipeline.name}: column "${name}": names that begin with _sluice_ are Sluice's own.`);
  }
  const ownType = (name: string): string => {
    const explicit = explicitType(schema?.zod, name);
    if (explicit) return explicit;
    const typed = pipeline.rowFunction ? null : (source.columns.find((column) => column.name === name)?.sqlType ?? null);
    return typed ?? schema?.columns.find((column) => column.name === name)?.sqlType ?? 'text';
  };
  if (pipeline.sqlTransform) {
    return names.map((name) => ({ name, sqlType: ownType(name), notNull: false, enumLabels: null }));
  }
  if (!target.exists) {
    const key = pipeline.target.key ?? [];
    return names.map((name) => {
      const column = schema?.columns.find((each) => each.name === name);
      // What a row function gives is filled in only by a schema of its own.
      const filled = column?.hasDefault && (!pipeline.rowFunction || pipeline.output !== null);
      const required = column !== undefined && !column.nullable && !column.mayGiveNull && (!column.optional || filled === true);
      return { name, sqlType: ownType(name), notNull: required || key.includes(name), enumLabels: null };
    });
  }
  const key = pipeline.target.key ?? [];
  return matchTarget(pipeline, names, target, label).map((column) => ({
    name: column.name,
    sqlType: column.sqlType,
    notNull: column.notNull || key.includes(column.name),
    enumLabels: column.enumLabels,
  }));
}

/**
 * Refuses columns of the target that no value can reach: there is no cast from what is read. (A value that its type refuses goes to
 * quarantine.)
 * @throws PermanentError `TypeMismatch`
 */
export async function requireTypesFit(
  database: Database,
  pipeline: BoundPipeline,
  source: SourceDescription,
  staged: readonly PlannedColumn[],
): Promise<void> {
  const schema = stagedSchema(pipeline);
  const given = staged.map(({ name }) => ({
    name,
    sqlType:
      (pipeline.rowFunction ? null : source.columns.find((column) => column.name === name)?.sqlType) ??
      schema?.columns.find((column) => column.name === name)?.sqlType ??
      null,
  }));
  await requireCasts(database, pipeline, source.label, given, staged);
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CANNOT_COERCE = '42846';

async function requireCasts(
  database: Database,
  pipeline: BoundPipeline,
  origin: string,
  given: readonly { readonly name: string; readonly sqlType: string | null }[],
  wanted: readonly { readonly name: string; readonly sqlType: string }[],
): Promise<void> {
  for (const { name, sqlType } of wanted) {
    const from = given.find((column) => column.name === name)?.sqlType ?? null;
    if (from === null || from === sqlType) continue;
    await database.query(`select null::${from}::${sqlType}`).catch((error: unknown) => {
      // A type that only the source's database knows travels as text.
      if (sqlState((error as Error).cause) !== CANNOT_COERCE) return;
      throw new PermanentError(
        'TypeMismatch',
        `${pipeline.name}: column "${name}" is ${from} in ${origin} and ${sqlType} in table "${pipeline.target.table}" (${database.label}), ` +
          'and there is no way from one to the other. Change the table, or convert it in a transform. Nothing was changed.',
        { cause: error },
      );
    });
  }
}

/**
 * Columns that a SQL transform gives, as the database itself types them; with the target's types where the table exists. Nothing is run.
 * @throws PermanentError `InvalidSql`
 */
export async function transformedColumns(
  client: Connection,
  pipeline: BoundPipeline,
  staged: readonly PlannedColumn[],
  target: TargetTable,
  database: Database,
): Promise<PlannedColumn[]> {
  const rows = await describeSelect(client, pipeline.sqlTransform?.text ?? '', staged);
  const key = pipeline.target.key ?? [];
  const lacking = pipeline.output?.columns.find((column) => !column.optional && !rows.some((row) => row.name === column.name));
  if (lacking) {
    throw new PermanentError(
      'MissingColumn',
      `${pipeline.name}: the SQL transform gives no column "${lacking.name}" of the output schema; it gives: ${rows.map((row) => row.name).join(', ')}.`,
    );
  }
  if (target.exists) {
    const names = rows.map((row) => row.name);
    const loaded = matchTarget(pipeline, names, target, database.label);
    const given = rows.map((row) => ({ name: row.name, sqlType: row.sqlType }));
    await requireCasts(database, pipeline, 'the result of the SQL transform', given, loaded);
    return loaded.map((column) => ({ ...column, notNull: column.notNull || key.includes(column.name) }));
  }
  for (const name of key) {
    if (!rows.some((row) => row.name === name)) {
      throw new PermanentError(
        'InvalidDefinition',
        `${pipeline.name}: target.key: the SQL transform gives no column "${name}"; it gives: ${rows.map((row) => row.name).join(', ')}.`,
      );
    }
  }
  return rows.map((row) => ({ name: row.name, sqlType: row.sqlType, notNull: key.includes(row.name), enumLabels: null }));
}

/** The columns of a SELECT over `staging`, as `format_type` writes their types. The row description has domains as their base types. */
async function describeSelect(
  client: Connection,
  select: string,
  staged: readonly { readonly name: string; readonly sqlType: string }[],
): Promise<{ name: string; sqlType: string }[]> {
  const nulls = staged.map(({ name, sqlType }) => `null::${sqlType} as ${quoteName(name)}`).join(', ');
  const transformed = `with staging as (select ${nulls} limit 0), transformed as (${select}\n)`;
  const { fields } = await client.query(`${transformed} select * from transformed limit 0`);
  if (fields.length === 0) return [];
  const declared = fields.map(({ name }, index) => `pg_typeof(transformed.${quoteName(name)})::oid as c${index}`);
  const { rows } = await client.query<Record<string, number>>(
    `${transformed} select ${declared.join(', ')} from (select) as one left join transformed on false`,
  );
  const types = await client.query<{ sqltype: string }>(
    `select format_type(declared, case when declared = described then modifier end) as sqltype
     from unnest($1::oid[], $2::oid[], $3::int[]) with ordinality as t (declared, described, modifier, nth) order by nth`,
    [
      fields.map((_, index) => rows[0]?.[`c${index}`]),
      fields.map((field) => field.dataTypeID),
      fields.map((field) => field.dataTypeModifier),
    ],
  );
  return fields.map(({ name }, index) => ({ name, sqlType: types.rows[index]?.sqltype ?? 'text' }));
}

function matchTarget(pipeline: BoundPipeline, names: readonly string[], target: TargetTable, label: string): TargetColumn[] {
  const { table } = pipeline.target;
  const matched = names.map((name) => {
    const column = target.columns.find((each) => each.name === name);
    if (!column) {
      throw new PermanentError(
        'MissingColumn',
        `${pipeline.name}: table "${table}" has no column "${name}" (${label}). Add it, or leave it out of the row schema. Nothing was changed.`,
      );
    }
    if (column.generated) {
      throw new PermanentError(
        'SchemaDoesNotFit',
        `${pipeline.name}: column "${name}" of table "${table}" is generated and cannot be loaded (${label}). Leave it out.`,
      );
    }
    return column;
  });
  const left = target.columns.find((column) => column.notNull && !column.hasDefault && !column.generated && !names.includes(column.name));
  if (left) {
    throw new PermanentError(
      'SchemaDoesNotFit',
      `${pipeline.name}: column "${left.name}" of table "${table}" may not be null and has no default, and the pipeline does not fill it (${label}). Nothing was changed.`,
    );
  }
  for (const name of pipeline.target.key ?? []) {
    if (!names.includes(name)) {
      throw new PermanentError(
        'InvalidDefinition',
        `${pipeline.name}: target.key: no column "${name}" is loaded; there are: ${names.join(', ')}.`,
      );
    }
  }
  return matched;
}

function explicitType(schema: { shape: Record<string, unknown> } | undefined, name: string): string | null {
  const field = schema?.shape[name] as { meta?: () => { sqlType?: unknown } | undefined } | undefined;
  const type = field?.meta?.()?.sqlType;
  return typeof type === 'string' ? type : null;
}
