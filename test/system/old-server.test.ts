/** A real PostgreSQL 14, from npm: too old for a target, old enough for a source. */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { findPostgresBinaries } from '../../src/local/postgres-binaries.ts';
import { startPostgresServer } from '../../src/local/postgres-server.ts';
import { cleanups } from '../helpers/cleanup.ts';
import { attemptsAt, failureOf, resultOf, startRun } from '../helpers/runs.ts';
import { freshDatabase, query, temporalClient, temporaryFolder } from '../helpers/servers.ts';
import { type Project, project, startWorker } from '../helpers/workers.ts';

const COPY = `
import { column, definePipeline, postgres } from 'sluice';
import { z } from 'zod';
export default definePipeline({
  name: 'copy',
  params: z.object({ source: z.string(), target: z.string() }),
  source: ({ source }) => postgres({ url: source, table: 'orders' }),
  partitionBy: column('region'),
  row: z.object({ id: z.int().positive(), region: z.string(), total: z.number() }),
  incremental: { cursor: 'id' },
  target: ({ target }) => postgres({ url: target, table: 'copied', mode: 'upsert', key: ['id'] }),
});`;

let old: string;
let url: string;
let flow: Project;
let client: Client;

beforeAll(async () => {
  const folder = await temporaryFolder('postgres-14');
  const server = await startPostgresServer({
    folder: join(folder, 'data'),
    logFile: join(folder, 'log'),
    binaries: { ...(await findPostgresBinaries('postgres-14')), locale: ['--locale', 'C'] },
    settings: { fsync: 'off' },
  });
  cleanups.push(() => server.stop('immediate'));
  old = server.url;
  url = await freshDatabase('old');
  for (const each of [old, url]) {
    await query(
      each,
      `create table orders (id int primary key, region text, total numeric);
       insert into orders select i, 'r' || i % 3, i from generate_series(1, 100) i`,
    );
  }
  flow = await project('old', url);
  await flow.write('copy.ts', COPY);
  client = await temporalClient();
  await startWorker(flow);
}, 60_000);

test('PostgreSQL 14 as a target is refused at once', async () => {
  const run = await startRun(client, flow, 'copy', { source: url, target: old });
  const failure = await failureOf(run);
  expect(failure.type).toBe('ServerTooOld');
  const { host, pathname } = new URL(old);
  expect(failure.message).toMatch(
    new RegExp(`target postgres://${host}${pathname}: the server is PostgreSQL 14\\.\\S+; as a target Sluice needs 15 or newer. Upgrade`),
  );
  expect(await attemptsAt(run, 'planRun')).toBe(1);
  expect(await query(old, `select nspname from pg_namespace where nspname like 'sluice%'`)).toEqual([]);
});

test('PostgreSQL 14 as a source is read', async () => {
  const summary = await resultOf(await startRun(client, flow, 'copy', { source: old, target: url }));
  expect(summary).toMatchObject({ rowsLoaded: 100, partitions: 3, watermark: ['100', '100'] });
});
