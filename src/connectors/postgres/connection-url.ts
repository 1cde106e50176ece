/**
 * Connection URLs as libpq reads them: several hosts, and which of them is wanted. `pg` knows one host only.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 */
import { PermanentError } from '../../errors.ts';

/** Which server of several a session is for. */
export const SESSION_ATTRIBUTES = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionUrl {
  /** In the order in which they are tried. */
  readonly servers: readonly ServerAddress[];
  readonly attributes: SessionAttributes;
  /** How long a server may take to answer, in milliseconds; null where the URL does not say. */
  readonly connectTimeoutMs: number | null;
  /** The URL does not say so: it follows from what the sessions are for. */
  readonly implied?: boolean;
  /** `postgres://host:port,host:port/database`, without user, password and options. */
  readonly label: string;
  /** The same URL for one server, as `pg` takes it. */
  urlFor(server: ServerAddress): string;
}

const DEFAULT_PORT = 5432;
const AUTHORITY = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/;
const ADDRESS = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d+))?$/;

/**
 * @throws PermanentError `InvalidUrl`
 *
 * @example parseConnectionUrl('postgres://app:secret@pg1,pg2:5433/shop?target_session_attrs=primary')
 */
export function parseConnectionUrl(url: string): ConnectionUrl {
  const [, scheme = '', account, authority = '', path = '', query = ''] = AUTHORITY.exec(url) ?? invalid();
  const options = new URLSearchParams(query);
  const attributes = options.get('target_session_attrs') ?? 'any';
  if (!isAttributes(attributes)) {
    throw new PermanentError('InvalidUrl', `target_session_attrs is "${attributes}"; it can be ${SESSION_ATTRIBUTES.join(', ')}.`);
  }
  if (options.has('hostaddr')) {
    throw new PermanentError('InvalidUrl', 'the connection URL has hostaddr, which is not known here: name the addresses as hosts.');
  }
  const servers = balanced(readServers(authority, options), options.get('load_balance_hosts') ?? 'disable');
  const connectTimeoutMs = readTimeout(options.get('connect_timeout'));
  for (const name of ['target_session_attrs', 'host', 'port', 'load_balance_hosts', 'connect_timeout']) options.delete(name);
  const rest = options.size > 0 ? `?${options}` : '';
  const parsed: ConnectionUrl = {
    servers,
    attributes,
    connectTimeoutMs,
    label: `postgres://${servers.map(({ host, port }) => `${host}:${port}`).join(',')}${path}`,
    urlFor: ({ host, port }) => `${scheme}${account === undefined ? '' : `${account}@`}${host}:${port}${path}${rest}`,
  };
  if (!servers.every((server) => URL.canParse(parsed.urlFor(server)))) invalid();
  return parsed;
}

function readServers(authority: string, options: URLSearchParams): ServerAddress[] {
  const hosts = options.get('host')?.split(',') ?? authority.split(',').map((each) => ADDRESS.exec(each)?.[1] ?? invalid());
  const ports = options.get('port')?.split(',') ?? authority.split(',').map((each) => ADDRESS.exec(each)?.[2] ?? String(DEFAULT_PORT));
  // One port is for all of them, as in libpq.
  if (ports.length !== 1 && ports.length !== hosts.length) invalid();
  return hosts.map((host, nth) => {
    const port = Number(ports[ports.length === 1 ? 0 : nth] || DEFAULT_PORT);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) invalid();
    // Within a URL an IPv6 address stands in brackets.
    return { host: host.includes(':') && !host.startsWith('[') ? `[${host}]` : host || 'localhost', port };
  });
}

/** Sessions of this process begin with another server than those of others; a pool keeps to its order, until a server is gone. */
function balanced(servers: readonly ServerAddress[], how: string): readonly ServerAddress[] {
  if (how === 'disable') return servers;
  if (how !== 'random') throw new PermanentError('InvalidUrl', `load_balance_hosts is "${how}"; it can be disable or random.`);
  return servers
    .map((server) => ({ server, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ server }) => server);
}

/** As libpq: whole seconds, and none or less are no limit; there pg takes 0. */
function readTimeout(text: string | null): number | null {
  if (text === null) return null;
  if (!/^-?\d+$/.test(text)) throw new PermanentError('InvalidUrl', `connect_timeout is "${text}"; it is a number of seconds.`);
  return Math.max(Number(text), 0) * 1000;
}

function isAttributes(text: string): text is SessionAttributes {
  return (SESSION_ATTRIBUTES as readonly string[]).includes(text);
}

function invalid(): never {
  throw new PermanentError(
    'InvalidUrl',
    'the connection URL cannot be read. It is postgres://user:password@host:port/database, or with several hosts ' +
      'postgres://user:password@host:port,host:port/database?target_session_attrs=primary; write special characters of the password as %xx.',
  );
}
