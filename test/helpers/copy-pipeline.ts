/** What tests of a first load begin with: a database with flights in it, and the pipeline `copy` that copies them into a table of their own. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { PostgresTargetConfig } from '../../src/connectors/postgres/config.ts';
import { contentOf } from './checksum.ts';
import { runsOf, stagingTables } from './ledger.ts';
import { observe } from './observer.ts';
import { startRun } from './runs.ts';
import { seedFlights } from './seed.ts';
import { freshDatabase, query, temporalClient } from './servers.ts';
import { type Project, project } from './workers.ts';

/** Flights in `departures`. */
export const ROWS = 10_000;

/** Statements before a run: `copy` is there, and empty. */
export const EMPTY = 'create table copy (like departures including all);';

/** The target of `copy`, with its defaults. */
export const TARGET: PostgresTargetConfig = {
  kind: 'postgres',
  table: 'copy',
  mode: 'upsert',
  scope: 'table',
  key: ['id'],
  replicated: 'ignore',
  swap: 'auto',
};

const templates = new Map<string | undefined, Promise<string>>();

async function makeTemplate(server: string | undefined): Promise<string> {
  const url = await freshDatabase('departures', { server });
  await seedFlights(url, 'departures', ROWS);
  await observe(url);
  return url;
}

/** A database of its own, copied of one that is made once: the flights in `departures`, a ledger and an observer. */
export async function seeded(name: string, server?: string): Promise<string> {
  const template = templates.get(server) ?? makeTemplate(server);
  templates.set(server, template);
  return await freshDatabase(name, { template: await template, server });
}

export interface Copy {
  readonly url: string;
  readonly flow: Project;
}

export interface CopyOptions {
  readonly mode?: 'append' | 'upsert' | 'replace';
  readonly swap?: 'auto' | 'never';
  /** Source and partitions. */
  readonly from?: string;
  /** More of the definition of the pipeline. */
  readonly more?: string;
  /** Statements before the run. */
  readonly before?: string;
  /** URL of the PostgreSQL server. @default the shared one */
  readonly server?: string;
}

const BY_KEY = `source: postgres({ table: 'departures' }), partitionBy: keyRange('id', 2_500),`;

/** A database of its own, and the pipeline `copy` that copies `departures` into the table `copy`. */
export async function copy(options: CopyOptions = {}): Promise<Copy> {
  const { mode = 'upsert', swap = 'auto', from = BY_KEY, more = '', before, server } = options;
  const url = await seeded('copy', server);
  if (before) await query(url, before);
  const flow = await project('copy', url);
  await flow.write(
    'copy.ts',
    `import { definePipeline, keyRange, noRows, postgres, sql } from 'sluice';
     import { z } from 'zod';
     export default definePipeline({
       name: 'copy',
       ${from}
       target: postgres({ table: 'copy', mode: '${mode}', key: ['id'], swap: '${swap}' }),
       chunk: { rows: 500 },
       ${more}
     });`,
  );
  return { url, flow };
}

let client: Promise<Client> | undefined;

async function sharedClient(): Promise<Client> {
  client ??= temporalClient();
  return await client;
}

/** Starts a run of `copy`. */
export async function run({ flow }: Copy): Promise<WorkflowHandle> {
  return await startRun(await sharedClient(), flow, 'copy');
}

/** The run, which has failed, once more. */
export async function retry({ url, flow }: Copy, failed: WorkflowHandle): Promise<WorkflowHandle> {
  const [planned] = await runsOf(url, failed.workflowId);
  return await (await sharedClient()).workflow.start('pipeline', {
    taskQueue: flow.taskQueue,
    workflowId: `${failed.workflowId}-again`,
    args: [{ pipeline: 'copy', retry: { runKey: planned?.run_key } }],
  });
}

/** `copy` holds what `departures` holds, and nothing is left of the run. */
export async function expectCopied({ url }: Copy): Promise<void> {
  expect(await contentOf(url, 'copy')).toEqual(await contentOf(url, 'departures'));
  expect(await stagingTables(url)).toEqual([]);
}

/** All that the catalogs say of the table `copy`, without oids. */
export async function described(url: string): Promise<unknown> {
  const [found] = await query(
    url,
    `select c.relname, c.relkind, c.relpersistence, c.reloptions, pg_get_userbyid(c.relowner) as owner, n.nspname,
            (select json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression, pg_get_expr(d.adbin, d.adrelid)) order by attnum)
             from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attrelid = c.oid and attnum > 0) as columns,
            (select json_agg(pg_get_indexdef(indexrelid) order by indexrelid::regclass::text) from pg_index where indrelid = c.oid) as indexes,
            (select json_agg(json_build_array(conname, pg_get_constraintdef(oid)) order by conname) from pg_constraint where conrelid = c.oid) as constraints
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass('copy')`,
  );
  return found;
}

/** The oid of the table `copy`: another one after a swap, the same after rows were inserted. */
export async function oidOf(url: string): Promise<string | null> {
  const [found] = await query<{ oid: string }>(url, `select to_regclass('copy')::oid::text as oid`);
  return found?.oid ?? null;
}
