/**
 * The servers that a connection URL names, each with its pool. A session goes to the first of them that answers and is what the URL asks for,
 * beginning with the one that was it last: after a failover that is another one.
 */
import pg from 'pg';
import { PermanentError, TransientError } from '../../errors.ts';
import type { ConnectionUrl, ServerAddress, SessionAttributes } from './connection-url.ts';
import { endsWithin } from './ends-within.ts';
import { classifyPostgres } from './errors.ts';
import { cutOff, Liveness } from './liveness.ts';

/** How long sessions in use are waited for, and the answers to goodbyes, which need not come. */
const CLOSE_MS = 5_000;
/** How long a login may take where the URL says that it may take for ever. */
const SLOW_LOGIN_MS = 10_000;

interface Server {
  readonly name: string;
  readonly pool: pg.Pool;
  /** The sessions whose connections are not closed yet. */
  readonly open: Set<pg.ClientBase>;
  readonly liveness: Liveness;
}

export class Servers {
  readonly #url: ConnectionUrl;
  readonly #label: string;
  readonly #servers: readonly Server[];
  /** The last one that was what is wanted. */
  #last = 0;

  constructor(url: ConnectionUrl, label: string, options: Omit<pg.PoolConfig, 'connectionString'>) {
    this.#url = url;
    this.#label = label;
    this.#servers = url.servers.map((address) => {
      const connectionString = url.urlFor(address);
      const liveness = new Liveness(connectionString, options.connectionTimeoutMillis || SLOW_LOGIN_MS);
      const open = new Set<pg.ClientBase>();
      const onConnect = (client: pg.ClientBase) => {
        open.add(client);
        client.once('end', () => open.delete(client));
        return liveness.meet(client);
      };
      const pool = new pg.Pool({ ...options, connectionString, onConnect });
      // Idle clients fail at every failover of the server; the next query opens a new one.
      pool.on('error', () => {});
      // One that breaks while nothing is asked of it must not end the process; from the first moment, because it is asked what it is before it is used.
      pool.on('connect', (client) => client.on('error', () => {}));
      return { name: nameOf(address), pool, open, liveness };
    });
  }

  /**
   * @param unfit asked of each server that is of the right kind
   * @throws SluiceError what the only server, or the last of several, answered
   * @throws TransientError `NoSuitableServer` where servers answer, but none of them is what is wanted
   */
  async connect(unfit?: Unfit): Promise<pg.PoolClient> {
    const { attributes } = this.#url;
    // As libpq: a standby is taken if there is one, else whatever is there.
    const rounds: SessionAttributes[] = attributes === 'prefer-standby' ? ['standby', 'any'] : [attributes];
    let failure: unknown = null;
    const refused: string[] = [];
    for (const wanted of rounds) {
      for (const nth of this.#order()) {
        const server = this.#servers[nth] as Server;
        try {
          const client = await take(server);
          const isnt = await whyNot(client, wanted, unfit);
          if (isnt === null) {
            this.#last = nth;
            return client;
          }
          // As libpq does: behind a proxy the next session may lead to another server, and this one never will.
          client.release(true);
          refused.push(`${server.name} is ${isnt}`);
        } catch (error) {
          // What is permanent is not hidden by another server that is down.
          if (!(failure instanceof PermanentError)) failure = error;
          refused.push(`${server.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
    const known = failure === null ? null : classifyPostgres(failure, this.#label);
    // A wrong password is wrong everywhere.
    if (known !== null && (this.#servers.length === 1 || !(known instanceof TransientError))) throw known;
    throw new TransientError(
      // What nobody has asked for is a mistake, where it lasts.
      failure === null && this.#url.implied ? 'ReadOnly' : 'NoSuitableServer',
      `${this.#label}: none of the servers is ${describe(attributes)} (${[...new Set(refused)].join('; ')}). It is tried again until one is.`,
      { cause: failure, blameless: true },
    );
  }

  /** Sessions that are still in use after {@link CLOSE_MS} are cut off. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map(closeServer));
  }

  #order(): number[] {
    const all = this.#servers.map((_, nth) => nth);
    return [...all.slice(this.#last), ...all.slice(0, this.#last)];
  }
}

const nameOf = ({ host, port }: ServerAddress): string => `${host}:${port}`;

async function closeServer({ pool, open }: Server): Promise<void> {
  if (pool.ending) return;
  if (await endsWithin(pool.end(), CLOSE_MS)) return;
  for (const client of open) cutOff(client, 'the pool is closed');
}

/** A session of the pool, watched until it is given back. */
async function take({ pool, liveness }: Server): Promise<pg.PoolClient> {
  const client = await pool.connect();
  const stop = liveness.watch(client);
  const { release } = client;
  client.release = (error) => {
    stop();
    release.call(client, error);
  };
  return client;
}

/** Why a server that is of the right kind will not do now; null where it does. */
export type Unfit = (client: pg.PoolClient) => Promise<string | null>;

async function whyNot(client: pg.PoolClient, wanted: SessionAttributes, unfit?: Unfit): Promise<string | null> {
  try {
    return (await mismatch(client, wanted)) ?? (await unfit?.(client)) ?? null;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

const checked = new WeakMap<pg.PoolClient, SessionAttributes>();

/** What the server is instead; null where it is what is wanted. A session's server is asked once: what changes its role ends its sessions. */
async function mismatch(client: pg.PoolClient, wanted: SessionAttributes): Promise<string | null> {
  if (wanted === 'any' || checked.get(client) === wanted) return null;
  const { rows } = await client.query<{ standby: boolean; readonly: boolean }>(
    `select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::bool as readonly`,
  );
  const standby = rows[0]?.standby ?? false;
  const readonly = standby || (rows[0]?.readonly ?? false);
  const fits = { primary: !standby, standby, 'read-write': !readonly, 'read-only': readonly, 'prefer-standby': true }[wanted];
  if (!fits) return standby ? 'a standby' : readonly ? 'read-only' : 'a primary';
  checked.set(client, wanted);
  return null;
}

function describe(attributes: SessionAttributes): string {
  switch (attributes) {
    case 'primary':
      return 'a primary that can be reached';
    case 'standby':
      return 'a standby that can be reached';
    case 'read-write':
      return 'one that can be reached and written to';
    case 'read-only':
      return 'one that can be reached and is read-only';
    default:
      return 'one that can be reached';
  }
}
