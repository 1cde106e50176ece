import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '../../connectors/postgres/database.ts';
import { describeError, PermanentError } from '../../errors.ts';
import type { Session } from '../session.ts';

/** A table to begin with. */
interface Table {
  /** `orders`, `sales.orders` */
  readonly name: string;
  readonly key: readonly string[];
}

const EXAMPLE: Table = { name: 'orders', key: ['id'] };

/** `sluice init [NAME]`: writes a pipeline that copies one table of the user's own database beside itself. Overwrites nothing. */
export async function initCommand(session: Session, wanted: string | undefined): Promise<void> {
  const found = await findTable(session);
  const table = found.table ?? EXAMPLE;
  const name = wanted ?? nameFor(table);
  if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name)) {
    throw new PermanentError(
      'WrongUsage',
      `"${name}" cannot be the name of a pipeline: lower case letters, digits, "-" and "_", beginning with a letter.`,
    );
  }
  const file = join(session.pipelines, `${name}.ts`);
  await mkdir(session.pipelines, { recursive: true });
  try {
    await writeFile(file, moduleText(name, table), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new PermanentError('FileExists', `${file} is there already and is left as it is. Choose another name: sluice init NAME`, {
      cause: error,
    });
  }
  const first = found.table
    ? `It copies your table ${table.name} to ${table.name}_copy.`
    : `It copies a table "orders": put the name and the key of yours in. (${found.why})`;
  session.output.result(
    { file, pipeline: name, table: found.table?.name ?? null },
    [`Wrote ${file}. ${first}`, ...nextSteps(session, name)].join('\n'),
  );
}

function nextSteps(session: Session, name: string): string[] {
  const database = session.env.SLUICE_DATABASE_URL ? [] : ['  export SLUICE_DATABASE_URL=postgres://user:password@host:5432/database'];
  return ['Then:', ...database, `  sluice dev --run ${name}`];
}

function moduleText(name: string, { name: table, key }: Table): string {
  const columns = key.map((column) => `'${column.replaceAll("'", "\\'")}'`).join(', ');
  return `import { definePipeline, postgres } from 'sluice';

export default definePipeline({
  name: '${name}',
  // The database is the one in SLUICE_DATABASE_URL; give { url } to read from or write to another.
  source: postgres({ table: '${table}' }),
  target: postgres({ table: '${table}_copy', mode: 'upsert', key: [${columns}] }),
});
`;
}

function nameFor(table: Table): string {
  const short = table.name.split('.').at(-1) ?? table.name;
  const tidy = short
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
    .replace(/^[^a-z]+/, '')
    .slice(0, 58);
  return `${tidy || 'table'}_copy`;
}

/** The first table with a primary key in the database that the environment names. */
async function findTable(session: Session): Promise<{ table: Table | null; why: string }> {
  if (!session.env.SLUICE_DATABASE_URL) return { table: null, why: 'SLUICE_DATABASE_URL is not set, so no table was looked for.' };
  const database = new Database('source', session.env.SLUICE_DATABASE_URL, { max: 1 });
  try {
    const rows = await database.query<{ name: string; key: string[] }>(
      `select case when n.nspname = any (current_schemas(false)) then c.relname else n.nspname || '.' || c.relname end as name,
              array_agg(a.attname::text order by k.ordinality) as key
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
       cross join unnest(i.indkey) with ordinality as k (attnum, ordinality)
       join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
       where i.indisprimary and c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'sluice', 'sluice_staging')
         and c.relname !~ '[^a-z0-9_]' and has_table_privilege(c.oid, 'select')
       group by n.nspname, c.relname, c.reltuples order by n.nspname <> all (current_schemas(false)), c.reltuples desc, 1 limit 1`,
    );
    return { table: rows[0] ?? null, why: 'No table with a primary key was found.' };
  } catch (error) {
    return { table: null, why: `No table was looked for: ${describeError(error)}` };
  } finally {
    await database.close();
  }
}
