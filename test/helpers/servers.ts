/** The servers of a test: those shared by all, or ones of its own where it stops them. */

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { interceptors } from '../../src/client/grpc-interceptors.ts';
import { type PostgresServer, startPostgresServer } from '../../src/local/postgres-server.ts';
import { startTemporalServer, type TemporalServer, type TemporalServerOptions } from '../../src/local/temporal-server.ts';
import { cleanups } from './cleanup.ts';

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: system tests run under the jest project "system"`);
  return value;
}

export const temporalBinary = () => required('SLUICE_TEST_TEMPORAL_BINARY');
export const sharedTemporalAddress = () => required('SLUICE_TEST_TEMPORAL_ADDRESS');

/** A folder that is removed after the test file, and that the postgres user may enter. */
export async function temporaryFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
  await chmod(folder, 0o755);
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A fresh database on the shared PostgreSQL (or another), empty or as its template. */
export async function freshDatabase(name: string, options: { template?: string; server?: string } = {}): Promise<string> {
  const server = options.server ?? required('SLUICE_TEST_DATABASE_URL');
  const template = options.template ? ` template ${databaseName(options.template)}` : '';
  const database = `${name.replaceAll(/[^a-z0-9]+/g, '_')}_${process.pid}_${Date.now().toString(36)}_${++databases}`;
  await query(server, `create database ${database}${template}`);
  // A server of the test's own goes as a whole.
  if (!options.server) cleanups.push(() => query(server, `drop database if exists ${database} with (force)`));
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

function databaseName(url: string): string {
  return new URL(url).pathname.slice(1);
}

let databases = 0;

/** A PostgreSQL of the test's own, to be stopped and started again. */
export async function ownPostgres(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const folder = await temporaryFolder('postgres');
  const server = await startPostgresServer({ folder: join(folder, 'data'), logFile: join(folder, 'log'), settings });
  return endedAfterwards(server);
}

/** What it is restarted as is ended too. */
function endedAfterwards(server: PostgresServer): PostgresServer {
  cleanups.push(() => server.stop('immediate'));
  return { ...server, restart: async (mode) => endedAfterwards(await server.restart(mode)) };
}

/** A Temporal server of the test's own with its history in a file, to be killed and started again (`startOwnTemporal(previous)`). */
export async function ownTemporal(
  previous?: { dbFile: string; server: TemporalServer },
  options: Pick<TemporalServerOptions, 'dynamicConfig'> = {},
): Promise<{ dbFile: string; server: TemporalServer }> {
  const dbFile = previous?.dbFile ?? join(await temporaryFolder('temporal'), 'history.db');
  const server = await startTemporalServer({
    binary: temporalBinary(),
    logFile: `${dbFile}.log`,
    dbFile,
    ...(previous ? { ports: previous.server.ports } : {}),
    ...options,
  });
  cleanups.push(() => server.kill());
  return { dbFile, server };
}

/** A client of Temporal, closed after the test file. */
export async function temporalClient(address = sharedTemporalAddress()): Promise<Client> {
  const connection = await Connection.connect({ address, interceptors });
  cleanups.push(() => connection.close());
  return new Client({ connection });
}

/** One statement on a connection of its own. */
export async function query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}
