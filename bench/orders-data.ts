/** The orders as data: the same rows in both databases and, where wanted, in files. */
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { execute } from './database.ts';
import { ORDER_COLUMNS } from './orders.ts';
import { type BenchStack, ROOT } from './stack.ts';

/** Files of each kind: a partition each. */
const FILES = 4;

export interface OrderFiles {
  /** CSV with a header. */
  readonly csv: readonly string[];
  readonly jsonl: readonly string[];
  readonly parquet: readonly string[];
}

/** Fills the table `orders` of both databases: in the target's too, for what its tables hold before a run. */
export async function fillOrders(stack: BenchStack, rows: number): Promise<void> {
  const generate = (await readFile(join(ROOT, 'bench/orders.sql'), 'utf8')).replaceAll(':rows', String(rows));
  for (const url of [stack.source, stack.target]) await execute(url, generate, 'vacuum (analyze) orders');
  await execute(
    stack.source,
    'drop table if exists one_order',
    'create table one_order (like orders including all)',
    'insert into one_order select * from orders limit 1',
    'vacuum (analyze) one_order',
  );
}

/** Writes the same rows as CSV by COPY, and as JSON lines and Parquet by DuckDB. */
export async function writeOrderFiles(stack: BenchStack, rows: number): Promise<OrderFiles> {
  await mkdir(stack.files, { recursive: true });
  const paths = (ending: string) => Array.from({ length: FILES }, (_, at) => join(stack.files, `orders-${at + 1}.${ending}`));
  const files = { csv: paths('csv'), jsonl: paths('jsonl'), parquet: paths('parquet') };
  const client = new pg.Client({ connectionString: stack.source });
  await client.connect();
  const duckdb = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await duckdb.connect();
  try {
    await connection.run("set TimeZone = 'UTC'");
    for (const [at, file] of files.csv.entries()) {
      const bound = (part: number) => Math.floor((rows * part) / FILES);
      const select = `select * from orders where id > ${bound(at)} and id <= ${bound(at + 1)} order by id`;
      await pipeline(client.query(copyTo(`copy (${select}) to stdout (format csv, header)`)), createWriteStream(file));
      const columns = ORDER_COLUMNS.map(({ name, type }) => `'${name}': '${type}'`).join(', ');
      const read = `select * from read_csv('${file}', header = true, quote = '"', escape = '"', columns = {${columns}})`;
      await connection.run(`copy (${read}) to '${files.jsonl[at]}' (format json)`);
      await connection.run(`copy (${read}) to '${files.parquet[at]}' (format parquet)`);
    }
    return files;
  } finally {
    connection.closeSync();
    duckdb.closeSync();
    await client.end();
  }
}
