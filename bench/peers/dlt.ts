/** dlt, told to be fast: Arrow from ConnectorX, finished files passed on, COPY into PostgreSQL. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execute } from '../database.ts';
import { ORDER_COLUMNS } from '../orders.ts';
import { ROOT } from '../stack.ts';
import { installDlt } from './install.ts';
import type { Peer, PeerPlace, PeerWork } from './peer.ts';

const run = promisify(execFile);
const SCRIPT = join(ROOT, 'bench/peers/dlt_load.py');
const SCHEMA = 'dlt';
const TABLE = 'orders';
/** The fastest that works, of parquet (by ADBC) and csv (by COPY), measured for each source; finished files are what they are. */
const FORMATS = { postgres: 'csv', jsonl: 'csv', csv: null, parquet: null } as const;

export async function findDlt(say: (message: string) => void): Promise<Peer> {
  const { python } = await installDlt(say);
  const { stdout } = await run(python, ['-c', 'import dlt; print(dlt.__version__)']);
  const load = async (work: PeerWork, { source, target, folder }: PeerPlace) => {
    const job = {
      pipeline: 'bench',
      workdir: folder,
      source: work.source.kind === 'postgres' ? { ...work.source, url: source, backend: 'connectorx' } : work.source,
      columns: ORDER_COLUMNS,
      target: { url: target, schema: SCHEMA, table: TABLE },
      mode: work.mode,
      key: ['id'],
      format: FORMATS[work.source.kind],
      rowFunction: work.rowFunction ?? false,
    };
    await run(python, [SCRIPT, JSON.stringify(job)], { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
  };
  return {
    name: 'dlt',
    title: `dlt ${stdout.trim()}`,
    prepare: async (work, place) => {
      const table = `${SCHEMA}.${TABLE}`;
      await execute(place.target, `drop schema if exists ${SCHEMA} cascade`, `drop schema if exists ${SCHEMA}_staging cascade`);
      if (work.mode !== 'create') {
        // Its own tables and its memory of them, made by a load of one row.
        await load({ source: { kind: 'postgres', table: 'one_order' }, mode: 'create' }, place);
        await execute(place.target, `truncate ${table}`);
        await place.fill(table);
      }
      return { table, run: () => load(work, place) };
    },
  };
}
