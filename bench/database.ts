/** Statements on the bench's databases, outside of what is measured. */
import pg from 'pg';

/** Runs statements one after the other on a connection of their own; gives the rows of the last. */
export async function execute<Row extends pg.QueryResultRow = pg.QueryResultRow>(url: string, ...statements: string[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'sluice bench' });
  // The server may be stopped by Ctrl-C between two statements; the statement says so.
  client.on('error', () => {});
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of statements) rows = (await client.query<Row>(statement)).rows;
    return rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The same server, another database. */
export function databaseOf(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

export interface FreshTable {
  readonly name: string;
  /** Columns, as in CREATE TABLE. */
  readonly columns: string;
  /** Columns of the primary key. */
  readonly key?: string;
  /** A SELECT of the rows that it has already; empty where left out. */
  readonly rows?: string;
}

/** A table that is physically the same for each measurement: nothing dead, vacuumed, analyzed, and all written out. */
export async function makeFresh(url: string, { name, columns, key, rows }: FreshTable): Promise<void> {
  await execute(
    url,
    `drop table if exists ${name}`,
    `create table ${name} (${columns})`,
    ...(rows ? [`insert into ${name} ${rows}`] : []),
    ...(key ? [`alter table ${name} add primary key (${key})`] : []),
    `vacuum (analyze) ${name}`,
    'checkpoint',
  );
}

/** The table as it is before a measurement; null: missing. */
export async function prepareTable(url: string, name: string, table: Omit<FreshTable, 'name'> | null): Promise<void> {
  if (table) await makeFresh(url, { ...table, name });
  else await execute(url, `drop table if exists ${name}`, 'checkpoint');
}
