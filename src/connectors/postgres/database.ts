/** Connections to one PostgreSQL: a pool, transactions in it, and a label for messages that holds no secret. */
import pg from 'pg';
import { PermanentError } from '../../errors.ts';
import { type ConnectionUrl, parseConnectionUrl } from './connection-url.ts';
import { endsWithin } from './ends-within.ts';
import { classifyPostgres, isDatabaseProblem, isOnStandby } from './errors.ts';
import { Servers, type Unfit } from './servers.ts';

/** A connection inside a transaction, or from the pool. */
export type Connection = pg.PoolClient;

export interface TransactionOptions {
  /** @default 'read committed' */
  readonly isolation?: 'read committed' | 'repeatable read';
  readonly readOnly?: boolean;
  /** How long a statement waits for a lock, in milliseconds. @default 10_000 */
  readonly lockTimeoutMs?: number;
  /** It may write though the guard would say no. */
  readonly unguarded?: boolean;
}

/** The oldest servers that have all that Sluice uses: of a target MERGE, of a source a check for abandoned connections. */
export const OLDEST_SERVER = { target: 15, source: 14 } as const;

/** How text is read and written, whatever the role's own settings are. */
const SETTINGS = `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local bytea_output = 'hex'; set local extra_float_digits = 1`;

/**
 * What a role or a database may have set for other programs: a commit, an index or a chunk takes as long as it takes, and while files are read
 * the other side's transaction is idle. What hangs is noticed by other means.
 */
export const NO_TIMEOUTS = 'set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0';
/** The same from PostgreSQL 17 on. It is a query, which takes the transaction's snapshot. */
export const NO_TRANSACTION_TIMEOUT = `select set_config('transaction_timeout', '0', true) where current_setting('transaction_timeout', true) is not null`;

export class Database {
  /** `source postgres://host:port/db`, without user and password. */
  readonly label: string;
  readonly #role: 'source' | 'target';
  readonly #servers: Servers;
  readonly #guard: string;

  /**
   * @param url as libpq takes it: also with several hosts, and `target_session_attrs`
   * @param options.max connections at the same time. @default 16
   * @param options.anyServer also of a target, a standby will do: what is asked of it is what it is
   * @param options.guard a statement with which every transaction begins that writes: where it fails, nothing is written
   * @throws PermanentError `InvalidUrl`
   */
  constructor(
    role: 'source' | 'target',
    url: string,
    options: { readonly max?: number; readonly anyServer?: boolean; readonly guard?: string } = {},
  ) {
    const named = readUrl(role, url);
    // A target is written to: a proxy may lead to a standby until it has heard of a failover.
    const writes = role === 'target' && !options.anyServer;
    const parsed: ConnectionUrl = writes && named.attributes === 'any' ? { ...named, attributes: 'primary', implied: true } : named;
    this.#role = role;
    this.#guard = options.guard ?? '';
    this.label = `${role} ${parsed.label}`;
    this.#servers = new Servers(parsed, this.label, {
      max: options.max ?? 16,
      application_name: 'sluice',
      // Where there are others, one that does not answer is not waited for as long.
      connectionTimeoutMillis: parsed.connectTimeoutMs ?? (parsed.servers.length > 1 ? 3_000 : 10_000),
      idleTimeoutMillis: 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5_000,
      allowExitOnIdle: true,
    });
  }

  /**
   * Takes a connection. The caller releases it, with the error if it broke.
   * @param unfit asked of each server that could be taken: why it will not do now, or null
   */
  async connect(unfit?: Unfit): Promise<Connection> {
    return await this.#servers.connect(unfit);
  }

  /** One statement in a transaction of its own. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = await this.connect();
    try {
      const result = await client.query<Row>(text, values);
      client.release();
      return result.rows;
    } catch (error) {
      client.release(error instanceof pg.DatabaseError && !/^(08|57P)/.test(error.code ?? '') && !isOnStandby(error) ? undefined : true);
      throw classifyPostgres(error, this.label);
    }
  }

  /**
   * Runs `work` in a transaction: committed when it returns, rolled back when it throws. COMMIT is never timed out; when its answer
   * is lost this throws a transient error, and the ledger tells what happened.
   */
  async transaction<T>(work: (client: Connection) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const client = await this.connect();
    let broken: boolean | undefined = true;
    try {
      const mode = `isolation level ${options.isolation ?? 'read committed'}${options.readOnly ? ', read only' : ''}`;
      const guard = options.readOnly || options.unguarded ? '' : this.#guard;
      await client.query(
        `begin ${mode}; set local lock_timeout = ${options.lockTimeoutMs ?? 10_000}; ${NO_TIMEOUTS}; ${NO_TRANSACTION_TIMEOUT}; ${SETTINGS}; ${guard}`,
      );
      let result: T;
      try {
        result = await work(client);
      } catch (error) {
        if ((await rolledBack(client)) && !isOnStandby(error)) broken = undefined;
        throw error;
      }
      await client.query('commit');
      broken = undefined;
      return result;
    } catch (error) {
      throw isDatabaseProblem(error) ? classifyPostgres(error, this.label) : error;
    } finally {
      client.release(broken);
    }
  }

  /** @throws PermanentError `ServerTooOld` */
  async requireVersion(): Promise<void> {
    const [row] = await this.query<{ version: string; number: number }>(
      `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
    );
    const oldest = OLDEST_SERVER[this.#role];
    if (row && row.number < oldest * 10_000) {
      throw new PermanentError(
        'ServerTooOld',
        `${this.label}: the server is PostgreSQL ${row.version}; as a ${this.#role} Sluice needs ${oldest} or newer. Upgrade the server.`,
      );
    }
  }

  async close(): Promise<void> {
    await this.#servers.close();
  }
}

/** How long a connection is given to answer a ROLLBACK before it is closed instead, which rolls back as well. */
const ROLLBACK_MS = 5_000;

async function rolledBack(client: Connection): Promise<boolean> {
  return await endsWithin(client.query('rollback'), ROLLBACK_MS).catch(() => false);
}

function readUrl(role: 'source' | 'target', url: string): ConnectionUrl {
  try {
    return parseConnectionUrl(url);
  } catch (error) {
    if (error instanceof PermanentError) throw new PermanentError(error.code, `${role}: ${error.message}`);
    throw error;
  }
}

/** A connection URL without user, password and options. */
export function databaseLabel(url: string): string {
  try {
    return parseConnectionUrl(url).label;
  } catch {
    return 'postgres (connection URL cannot be read)';
  }
}

/** `"schema"."table"` of `schema.table`, safe to put into a statement. */
export function quoteTable(name: string): string {
  return name.split('.').map(quoteName).join('.');
}

export function quoteName(name: string): string {
  return pg.escapeIdentifier(name);
}

export function quoteText(value: string): string {
  return pg.escapeLiteral(value);
}

/**
 * The connection URL of a configuration.
 * @throws PermanentError `MissingDatabaseUrl`
 */
export function databaseUrl(config: { readonly url?: string | undefined }, env: NodeJS.ProcessEnv = process.env): string {
  const url = config.url ?? env.SLUICE_DATABASE_URL;
  if (url) return url;
  throw new PermanentError(
    'MissingDatabaseUrl',
    'No database is named: give postgres({ url }) in the pipeline, or set SLUICE_DATABASE_URL for the worker.',
  );
}
