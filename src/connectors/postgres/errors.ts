/**
 * Which failures of PostgreSQL and of the way to it are permanent, and what a person does about each.
 * The codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import pg from 'pg';
import { PermanentError, SluiceError, TransientError } from '../../errors.ts';

/** Where it happened, for the message: `target postgres://host/db`. */
export type Where = string;

/** Two rows with the same values of a unique key. */
export const UNIQUE_VIOLATION = '23505';
/** The lock timeout is over. */
export const LOCK_NOT_AVAILABLE = '55P03';
/** The server takes no writes: a standby, as the one may be for a moment to which a proxy leads after a failover. */
const READ_ONLY = '25006';

const PERMANENT: Record<string, { code: string; advice: string }> = {
  '28P01': { code: 'AuthenticationFailed', advice: 'Check the user and the password in the connection URL.' },
  '28000': { code: 'AuthenticationFailed', advice: 'Check the user in the connection URL and pg_hba.conf on the server.' },
  '3D000': { code: 'MissingDatabase', advice: 'Check the database name in the connection URL, or create the database.' },
  '3F000': { code: 'MissingSchema', advice: 'Create the schema, or name another.' },
  '42P01': { code: 'MissingTable', advice: 'Check the name, its schema, and the search path of the role.' },
  '42703': { code: 'MissingColumn', advice: 'Check the column names of the pipeline against the table.' },
  '42704': { code: 'MissingType', advice: 'Create the type in this database first.' },
  '42846': { code: 'TypeMismatch', advice: 'Make the types agree, in the row schema, the transform or the table.' },
  '42883': { code: 'MissingFunction', advice: 'Check the types that the statement compares or the function it calls.' },
  '42501': { code: 'MissingGrant', advice: 'Grant it to the role (docs/operations/grants.md lists the smallest sufficient set).' },
  '42601': { code: 'InvalidSql', advice: 'Correct the SQL of the pipeline.' },
  '42804': { code: 'TypeMismatch', advice: 'Make the types agree, in the row schema, the transform or the table.' },
  '0A000': { code: 'NotSupported', advice: 'The server, or the pooler before it, cannot do this.' },
};

/** A session on a server that takes no writes; another one may lead to the new primary. */
export function isOnStandby(error: unknown): boolean {
  return [error, (error as Error).cause].some((each) => each instanceof Error && meantState(sqlState(each), each.message) === READ_ONLY);
}

/** Raised by the ledger: another region has taken over from that of this worker. */
const REGION_SUPERSEDED = 'SLU01';

/** The connection, the server or a lock was not there; the same statement may work in a moment. */
function isTransientState(state: string): boolean {
  return (
    state.startsWith('08') || // connection exceptions
    state.startsWith('53') || // insufficient resources: connections, memory, disk
    state.startsWith('57P') || // shutdown, crash recovery, cannot connect now, idle session ended
    state === '57014' || // query cancelled
    state.startsWith('40') || // serialization failure, deadlock
    state === LOCK_NOT_AVAILABLE ||
    state === '55006' || // object in use
    state.startsWith('58') // system error: I/O
  );
}

/** Lost connections, servers that come or go, locks that others hold: they say nothing of the work. */
function isBlamelessState(state: string): boolean {
  return state.startsWith('08') || state.startsWith('57P') || state.startsWith('53') || state === LOCK_NOT_AVAILABLE;
}

/** What a person can do about a transient error; nothing has to be done for the run to go on once the cause is gone. */
function transientAdvice(state: string): string {
  if (state === LOCK_NOT_AVAILABLE)
    return 'Another session holds the lock: look for it in pg_stat_activity. It goes on when that session lets go.';
  if (state === '53300')
    return 'Raise max_connections or the connection limit of the role, or run fewer workers. It goes on when there is room.';
  if (state === '53100') return 'Make room on the disk of the server. It goes on when there is some.';
  return 'It is tried again until it works.';
}

const NETWORK = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ECONNABORTED']);
const CONNECTION_LOST =
  /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Connection timeout|not queryable|stream has been aborted|Premature close|read ECONNRESET|server conn crashed|server closed the connection/i;

/** A value that the type or a constraint of the table refuses: classes 22 and 23, and 54000 (a word of a tsvector that is too long). */
export function isDataError(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && typeof error.code === 'string' && /^(2[23]|54000)/.test(error.code);
}

/** True for what comes from the server or from the way to it, and not from our own code. */
export function isDatabaseProblem(error: unknown): boolean {
  if (error instanceof pg.DatabaseError || error instanceof AggregateError) return true;
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return code === 'ENOTFOUND' || (typeof code === 'string' && NETWORK.has(code)) || CONNECTION_LOST.test(error.message);
}

/** SQLSTATE of an error of the server; null for everything else. */
export function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** PgBouncer gives all that it refuses the state of a broken protocol; what it means is in the text. */
const SAID_BY_POOLER: readonly (readonly [RegExp, string])[] = [
  [/authentication failed|no such user|password required/i, '28P01'],
  [/no such database|database ".*" does not exist/i, '3D000'],
  [/statement pooling mode/i, '0A000'],
];

/** What a standby refuses has a state of its own only where it is a statement that writes. */
const SAID_BY_STANDBY = /during recovery|recovery is in progress/;

function meantState(state: string | null, message: string): string | null {
  if (state !== null && SAID_BY_STANDBY.test(message)) return READ_ONLY;
  if (state !== '08P01') return state;
  return SAID_BY_POOLER.find(([said]) => said.test(message))?.[1] ?? state;
}

/**
 * Makes one of our errors of anything thrown while talking to PostgreSQL.
 *
 * @param where what was talked to, for the message
 */
export function classifyPostgres(error: unknown, where: Where): SluiceError {
  if (error instanceof SluiceError) return error;
  if (error instanceof AggregateError && error.errors.length > 0) return classifyPostgres(error.errors[0], where);
  const message = error instanceof Error ? error.message : String(error);
  const state = meantState(sqlState(error), message);
  if (state !== null) {
    const detail = (error as pg.DatabaseError).detail;
    const said = detail ? `${message} (${detail})` : message;
    if (state === REGION_SUPERSEDED) {
      const advice = 'Nothing was changed. "sluice region status" says which region works.';
      return new TransientError('RegionSuperseded', `${where}: ${said}. ${advice}`, { cause: error, blameless: true });
    }
    if (state === READ_ONLY) {
      const advice =
        'It is a standby, or default_transaction_read_only is on. After a failover it is tried again until it leads to the primary; else name the primary.';
      return new TransientError('ReadOnly', `${where}: ${said}. ${advice}`, { cause: error, blameless: true });
    }
    const known = PERMANENT[state];
    if (known) return new PermanentError(known.code, `${where}: ${said}. ${known.advice}`, { cause: error });
    if (isTransientState(state)) {
      return new TransientError(
        state.startsWith('53') ? 'OutOfResources' : 'DatabaseUnavailable',
        `${where}: ${said}. ${transientAdvice(state)}`,
        {
          cause: error,
          blameless: isBlamelessState(state),
        },
      );
    }
    if (isDataError(error)) {
      return new PermanentError('DataRefused', `${where}: ${said}. Nothing was changed. Correct the rows or the table.`, { cause: error });
    }
    if (state.startsWith('42')) return new PermanentError('InvalidSql', `${where}: ${said}`, { cause: error });
    return new TransientError('DatabaseError', `${where}: ${said} (SQLSTATE ${state})`, { cause: error });
  }
  const code = (error as { code?: unknown }).code;
  if (code === 'ENOTFOUND') {
    return new TransientError(
      'UnknownHost',
      `${where}: the host name cannot be resolved (${message}). Check the host in the connection URL.`,
      {
        cause: error,
        blameless: true,
      },
    );
  }
  if ((typeof code === 'string' && NETWORK.has(code)) || CONNECTION_LOST.test(message)) {
    return new TransientError(
      'DatabaseUnreachable',
      `${where}: ${message}. Check that the server runs and can be reached from here. It is tried again until it answers.`,
      {
        cause: error,
        blameless: true,
      },
    );
  }
  if (/SSL|TLS|certificate|self.signed/i.test(message)) {
    return new PermanentError('TlsFailed', `${where}: ${message}. Check sslmode and the certificates in the connection URL.`, {
      cause: error,
    });
  }
  if (/SASL|password must be a string|no password/i.test(message)) {
    return new PermanentError('AuthenticationFailed', `${where}: ${message}. Put a password into the connection URL.`, { cause: error });
  }
  return new TransientError('Unexpected', `${where}: ${message}`, { cause: error });
}
