/** Connections to one PostgreSQL: a pool, transactions in it, and a label for messages that holds no secret. */
import pg from 'pg';
import { PermanentError } from '../../errors.ts';
import { classifyPostgres, isDatabaseProblem } from './errors.ts';

/** A connection inside a transaction, or from the pool. */
export type Connection = pg.PoolClient;

export interface TransactionOptions {
  /** @default 'read committed' */
  readonly isolation?: 'read committed' | 'repeatable read';
  readonly readOnly?: boolean;
  /** How long a statement waits for a lock, in milliseconds. @default 10_000 */
  readonly lockTimeoutMs?: number;
}

/** The oldest servers that have all that Sluice uses: of a target MERGE, of a source a check for abandoned connections. */
export const OLDEST_SERVER = { target: 15, source: 14 } as const;

/** How text is read and written, whatever the role's own settings are. */
const SETTINGS = `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local bytea_output = 'hex'`;

export class Database {
  /** `source postgres://host:port/db`, without user and password. */
  readonly label: string;
  readonly #role: 'source' | 'target';
  readonly #pool: pg.Pool;

  /** @throws PermanentError `InvalidUrl` */
  constructor(role: 'source' | 'target', url: string, options: { readonly max?: number } = {}) {
    if (!isDatabaseUrl(url)) {
      throw new PermanentError(
        'InvalidUrl',
        `${role}: the connection URL cannot be read. It is postgres://user:password@host:port/database; write special characters of the password as %xx.`,
      );
    }
    this.#role = role;
    this.label = `${role} ${databaseLabel(url)}`;
    this.#pool = new pg.Pool({
      connectionString: url,
      max: options.max ?? 16,
      application_name: 'sluice',
      connectionTimeoutMillis: 10_000,
      idleTimeoutMillis: 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5_000,
      allowExitOnIdle: true,
    });
    // Idle clients fail at every failover of the server; the next query opens a new one.
    this.#pool.on('error', () => {});
  }

  /** Takes a connection. The caller releases it, with the error if it broke. */
  async connect(): Promise<Connection> {
    try {
      const client = await this.#pool.connect();
      // A connection that breaks while nothing is asked of it must not end the process.
      if (client.listenerCount('error') === 0) client.on('error', () => {});
      return client;
    } catch (error) {
      throw classifyPostgres(error, this.label);
    }
  }

  /** One statement in a transaction of its own. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = await this.connect();
    try {
      const result = await client.query<Row>(text, values);
      client.release();
      return result.rows;
    } catch (error) {
      client.release(error instanceof pg.DatabaseError && !/^(08|57P)/.test(error.code ?? '') ? undefined : true);
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
      await client.query(`begin ${mode}; set local lock_timeout = ${options.lockTimeoutMs ?? 10_000}; ${SETTINGS}`);
      let result: T;
      try {
        result = await work(client);
      } catch (error) {
        if (await rolledBack(client)) broken = undefined;
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
    if (!this.#pool.ended) await this.#pool.end();
  }
}

/** How long a connection is given to answer a ROLLBACK before it is closed instead, which rolls back as well. */
const ROLLBACK_MS = 5_000;

async function rolledBack(client: Connection): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ROLLBACK_MS);
  });
  const answer = client.query('rollback').then(
    () => true,
    () => false,
  );
  const done = await Promise.race([answer, late]);
  clearTimeout(timer);
  return done;
}

/** A `#` is taken to be one in the password: what is before it would be read as host and port, and shown. */
function isDatabaseUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hash } = new URL(url);
  return /^postgres(ql)?:$/.test(protocol) && hash === '';
}

/** A connection URL without user, password and options. */
export function databaseLabel(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `postgres://${host}${pathname}`;
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
