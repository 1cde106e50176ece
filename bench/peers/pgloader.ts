/** pgloader: a load file each time. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { execute } from '../database.ts';
import { ORDER_COLUMNS, ORDER_DDL } from '../orders.ts';
import { installPgloader } from './install.ts';
import type { Peer, PeerPlace, PeerWork } from './peer.ts';

const run = promisify(execFile);
const TABLE = 'public.orders';
const SETTINGS = 'workers = 4, concurrency = 2, prefetch rows = 100000, batch rows = 100000';

export async function findPgloader(say: (message: string) => void): Promise<Peer> {
  const { command, env } = await installPgloader(say);
  const { stdout } = await run(command, ['--version'], { env });
  return {
    name: 'pgloader',
    title: `pgloader ${/"(.+?)"/.exec(stdout)?.[1] ?? ''}`.trim(),
    prepare: async (work, place) => {
      await execute(place.target, `drop table if exists ${TABLE}`);
      if (work.mode !== 'create') {
        await execute(place.target, `create table ${TABLE} (${ORDER_DDL}, primary key (id))`);
        await place.fill(TABLE);
      }
      const script = join(place.folder, 'orders.load');
      await writeFile(script, loadFile(work, place), { mode: 0o600 });
      return {
        table: TABLE,
        run: async () => {
          const { stdout: said } = await run(command, ['--root-dir', place.folder, script], { env, maxBuffer: 64 * 1024 * 1024 });
          if (/\b(ERROR|FATAL)\b/.test(said)) throw new Error(`pgloader: ${said}`);
        },
      };
    },
  };
}

function loadFile(work: PeerWork, { source, target }: PeerPlace): string {
  const { source: from, mode } = work;
  if (from.kind === 'postgres') {
    const what = mode === 'create' ? 'include drop, create tables, create indexes, reset sequences' : 'data only';
    return `load database from ${source} into ${target} with ${what}, ${SETTINGS}
      including only table names matching '${from.table}' in schema 'public';`;
  }
  const [first = ''] = from.files;
  const fields = ORDER_COLUMNS.map(({ name, nullable }) => (nullable ? `${name} [null if blanks]` : name)).join(', ');
  const create = `before load do $$ create table ${TABLE} (${ORDER_DDL}) $$ after load do $$ alter table ${TABLE} add primary key (id) $$`;
  return `load csv from all filenames matching ~<${basename(first).replace(/\d+/, '[0-9]+').replace('.', '[.]')}$> in directory '${dirname(first)}'
    having fields (${fields})
    into ${target} target table ${TABLE} (${ORDER_COLUMNS.map(({ name }) => name).join(', ')})
    with skip header = 1, fields terminated by ',', fields optionally enclosed by '"', fields escaped by double-quote, ${SETTINGS}
    ${mode === 'create' ? create : ''};`;
}
