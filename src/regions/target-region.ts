/** The target's PostgreSQL of one region, as Patroni runs it: what it is, and making it another thing. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseConnectionUrl } from '../connectors/postgres/connection-url.ts';
import { Database } from '../connectors/postgres/database.ts';
import { describeError, PermanentError, TransientError } from '../errors.ts';
import { ALONE_FROM_TERM, readActiveRegion } from '../ledger/regions.ts';
import { addressesOf, type Region } from './region-list.ts';

export interface TargetNode {
  readonly role: 'primary' | 'standby';
  /** Patroni has made it what it is, and can make it something else. */
  readonly leads: boolean;
  /** Patroni's word: `running`, `starting`, ... */
  readonly state: string;
  /** It gets what the other region's primary writes. */
  readonly streaming: boolean;
  readonly timeline: number;
}

export interface TargetOptions {
  /** Of any region: user, password and database are the same in all. */
  readonly databaseUrl: string;
  /** Of Patroni's interface. */
  readonly password: string;
}

const ANSWER_MS = 3_000;
const CONFIGURED_MS = 30_000;
/** How a region's own proxies lead to the target of the other one: `deploy/haproxy/region.cfg`. */
const PEER = { port: 5453, primary_slot_name: 'region_standby', create_replica_methods: ['basebackup'] };

export class TargetRegion {
  readonly region: Region;
  readonly #options: TargetOptions;
  #database: Database | null = null;

  constructor(region: Region, options: TargetOptions) {
    this.region = region;
    this.#options = options;
  }

  /** What it is; null where nobody answers. */
  async node(): Promise<TargetNode | null> {
    const answer = await this.#ask('GET', '/patroni').catch(() => null);
    if (!answer) return null;
    const { role, state, timeline, replication_state } = answer as Record<string, unknown>;
    return {
      role: role === 'primary' || role === 'master' ? 'primary' : 'standby',
      leads: role !== 'replica',
      state: String(state ?? ''),
      streaming: replication_state === 'streaming',
      timeline: Number(timeline ?? 0),
    };
  }

  /** The server itself, whatever it is at the moment. */
  database(): Database {
    this.#database ??= new Database('target', this.#url(), { max: 4, anyServer: true });
    return this.#database;
  }

  /** Whether commits wait for the standby in the other region. */
  async isSynchronous(): Promise<boolean> {
    const config = (await this.#ask('GET', '/config')) as { postgresql?: { parameters?: Record<string, unknown> } };
    return Boolean(config.postgresql?.parameters?.synchronous_standby_names);
  }

  /** @param standby name of the region whose standby is waited for; null for none */
  async setSynchronous(standby: string | null): Promise<void> {
    await this.#configure({ postgresql: { parameters: { synchronous_standby_names: standby === null ? null : `"${standby}"` } } });
  }

  /** Makes it the standby of the other region, which may not go on alone. Patroni stops it in good order, or rewinds it. May be called again. */
  async demote(): Promise<void> {
    await this.#configure({
      standby_cluster: { host: this.region.proxies.join(','), ...PEER },
      postgresql: { parameters: { synchronous_standby_names: null, [ALONE_FROM_TERM]: null } },
    });
  }

  /** Makes it the primary. Patroni runs `may-promote.sh` first, which asks the other region. May be called again. */
  async promote(): Promise<void> {
    await this.#configure({ standby_cluster: null });
  }

  /**
   * The same, whether or not the other region can be asked: a person has decided it. It is refused where the other one has a primary all the same.
   * The permission is for this term: `takeTerm` makes it void, else the region could go on alone once more, when it comes back after others have
   * taken over.
   */
  async promoteAlone(): Promise<void> {
    const term = (await readActiveRegion(this.database()))?.term ?? 0;
    await this.#configure({ postgresql: { parameters: { [ALONE_FROM_TERM]: String(term) } } });
    await this.until('told that it may go on alone', async () => (await this.#aloneFrom()) === String(term), CONFIGURED_MS);
    await this.promote();
  }

  async #aloneFrom(): Promise<string | null> {
    const [row] = await this.database().query<{ term: string | null }>(`select current_setting('${ALONE_FROM_TERM}', true) as term`);
    return row?.term ?? null;
  }

  /**
   * @throws TransientError `TargetNotReady` where it is not as wanted in time
   */
  async until(what: string, isSo: (node: TargetNode) => boolean | Promise<boolean>, timeoutMs: number): Promise<TargetNode> {
    const deadline = Date.now() + timeoutMs;
    let node: TargetNode | null = null;
    for (;;) {
      node = await this.node();
      // What cannot be asked yet is not so yet.
      if (
        node &&
        (await Promise.resolve(node)
          .then(isSo)
          .catch(() => false))
      )
        return node;
      if (Date.now() > deadline) {
        const now = node ? `it is a ${node.role}, ${node.state}` : 'nobody answers there';
        throw new TransientError(
          'TargetNotReady',
          `The target in region ${this.region.name} is not ${what} after ${timeoutMs / 1000} s: ${now}. Patroni's log there says why. The command can be repeated.`,
        );
      }
      await delay(200);
    }
  }

  async close(): Promise<void> {
    await this.#database?.close();
  }

  #url(): string {
    const { urlFor } = parseConnectionUrl(this.#options.databaseUrl);
    // A placeholder for one server takes the addresses of all proxies.
    return urlFor({ host: 'proxies', port: 1 }).replace('proxies:1', addressesOf(this.region, 'targetAny').join(','));
  }

  async #configure(change: unknown): Promise<void> {
    await this.#ask('PATCH', '/config', change);
  }

  /** @throws TransientError `TargetUnreachable` */
  async #ask(method: 'GET' | 'PATCH', path: string, body?: unknown): Promise<unknown> {
    let problem = '';
    for (const address of addressesOf(this.region, 'control')) {
      try {
        const response = await fetch(`http://${address}${path}`, {
          method,
          headers: {
            authorization: `Basic ${Buffer.from(`patroni:${this.#options.password}`).toString('base64')}`,
            'content-type': 'application/json',
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(ANSWER_MS),
        });
        const text = await response.text();
        if (response.status === 401) {
          throw new PermanentError(
            'WrongPassword',
            `Patroni of region ${this.region.name} refuses the password. Set SLUICE_PATRONI_PASSWORD to that of PATRONI_API_PASSWORD.`,
          );
        }
        // It says with 503 that it is no primary, or not well; what it is stands in the text all the same.
        if (method === 'GET' || response.ok) return JSON.parse(text);
        problem = `${address} answers ${response.status}: ${text.slice(0, 200)}`;
      } catch (error) {
        if (error instanceof PermanentError) throw error;
        problem = `${address}: ${describeError(error)}`;
      }
    }
    throw new TransientError('TargetUnreachable', `Patroni of the target in region ${this.region.name} does not answer (${problem}).`);
  }
}
