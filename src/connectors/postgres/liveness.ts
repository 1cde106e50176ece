/**
 * Notices a connection whose other end is gone without a word (a half-open connection): TCP itself may take a quarter of an hour, and a statement may
 * rightly take longer than any limit. So the server is asked, over a connection of its own, whether it still works on what is waited for.
 */
import pg from 'pg';
import { patience } from './patience.ts';

/** A statement for which nothing has arrived for so long is asked about, and again after as long. */
const SILENT_MS = 10_000;
const LOOK_MS = 2_000;
/** So long whoever is asked has for a login and an answer, or as long as the sessions themselves have for a login, where that is more. */
const ANSWER_MS = 3_000;
/** So often in a row nobody may answer where the session is, or the server may wait for us as we do for it; then the way there, or a proxy, hangs. */
const MOST_DOUBTS = 3;

type Answer = 'gone' | 'silence' | `waits for us at ${string}` | 'alive or unknown';

/** Which server process a session is. */
interface Backend {
  readonly pid: number;
  readonly address: string;
  /** When the server was started: after a restart none of its processes is what it was. */
  readonly serverStarted: string;
}

/** What each new session is asked before anything else. */
export const WHO = `select pg_backend_pid() as pid, coalesce(host(inet_server_addr()) || ':' || inet_server_port(), '') as address,
                    pg_postmaster_start_time()::text as "serverStarted"`;

/** What `pg` knows of a session: whether an answer is awaited, and what has arrived. */
interface Insides {
  readonly readyForQuery: boolean;
  readonly processID: number;
  readonly connection: { readonly stream: Stream };
}

interface Stream {
  readonly bytesRead: number;
  /** What has arrived and waits for its reader, who may be slow. */
  readonly readableLength: number;
  destroy(error: Error): void;
  destroySoon(): void;
}

const insidesOf = (client: pg.ClientBase): Insides => client as unknown as Insides;

/** Closes a session's connection now, whatever is under way: what waits for it fails. Asking a server that hangs to stop would be waiting for it. */
export function cutOff(client: pg.ClientBase, reason: string): void {
  insidesOf(client).connection.stream.destroy(new Error(`Connection terminated: ${reason}`));
}

/** Sessions whose COPY has been given all that it gets: before, its server waits for a slow source, rightly. */
export const givenAll = new WeakSet<pg.ClientBase>();

export class Liveness {
  readonly #url: string;
  readonly #answerMs: number;
  readonly #backends = new WeakMap<pg.ClientBase, Backend>();

  /**
   * @param url of the one server that the clients are connected to
   * @param loginMs how long a login may take
   */
  constructor(url: string, loginMs: number) {
    this.#url = url;
    this.#answerMs = Math.max(ANSWER_MS, loginMs);
  }

  /** To be called for each new session, before anything else is asked of it. */
  async meet(client: pg.ClientBase): Promise<void> {
    // What speaks the protocol and is no PostgreSQL need not know these functions.
    const asked = client.query<Backend>(WHO).catch((error: unknown) => {
      if (error instanceof pg.DatabaseError) return null;
      throw error;
    });
    // Nobody can ask about it yet, and it is answered at once: the way to the server was lost in this very moment.
    const answered = patience(SILENT_MS, () => cutOff(client, 'a new session has not answered'));
    const answer = await asked.finally(answered);
    const backend = answer?.rows[0];
    // Behind a pooler the session is not this server process; nobody can ask for it then, only whether anybody answers there.
    if (backend && backend.pid === insidesOf(client).processID) this.#backends.set(client, backend);
  }

  /** Watches a session until the answer is called. One that turns out to be dead is closed, which fails what waits for it. */
  watch(client: pg.ClientBase): () => void {
    const backend = this.#backends.get(client);
    let arrived = -1;
    let since = Date.now();
    let asking = false;
    let doubts = 0;
    let before: Answer = 'alive or unknown';
    const moves = () => {
      const { readyForQuery, connection } = insidesOf(client);
      return readyForQuery || connection.stream.readableLength > 0 || connection.stream.bytesRead !== arrived;
    };
    const timer = setInterval(async () => {
      if (moves()) {
        arrived = insidesOf(client).connection.stream.bytesRead;
        since = Date.now();
        doubts = 0;
        return;
      }
      if (asking || Date.now() - since < SILENT_MS) return;
      asking = true;
      const answer = await this.#ask(backend, givenAll.has(client));
      asking = false;
      doubts = answer === 'alive or unknown' ? 0 : answer === before ? doubts + 1 : 1;
      before = answer;
      // Where nobody answers it is asked again soon.
      if (answer !== 'silence') since = Date.now();
      if (moves()) return;
      if (answer === 'gone') cutOff(client, 'the server does not know it any more');
      if (doubts >= MOST_DOUBTS) {
        cutOff(client, answer === 'silence' ? 'nobody answers there any more' : 'its server waits for what was sent, or to be heard');
      }
    }, LOOK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  async #ask(backend: Backend | undefined, givenAll: boolean): Promise<Answer> {
    const client = new pg.Client({ connectionString: this.#url, application_name: 'sluice liveness' });
    client.on('error', () => {});
    let late = false;
    const answered = patience(this.#answerMs, () => {
      late = true;
      cutOff(client, 'it has not answered');
    });
    try {
      await client.connect();
      // A pooler whose sessions are all in use lets questions wait, rightly; a login it answers itself.
      return backend ? await askAbout(backend, givenAll, client) : 'alive or unknown';
    } catch {
      // Who is refused (too many connections, say) has been heard, and knows nothing.
      return late ? 'silence' : 'alive or unknown';
    } finally {
      answered();
      // The goodbye's answer is not waited for: the way to the server may be lost in this very moment.
      void client.end().catch(() => {});
      insidesOf(client).connection.stream.destroySoon();
    }
  }
}

/** @param givenAll nothing more is sent to it */
async function askAbout({ pid, address, serverStarted }: Backend, givenAll: boolean, asked: pg.Client): Promise<Answer> {
  const [now] = (await asked.query<Backend>(WHO)).rows;
  // Behind what spreads connections over several servers this one may be another.
  if (now?.address !== address) return 'alive or unknown';
  if (now.serverStarted !== serverStarted) return 'gone';
  const { rows } = await asked.query<{ waits: string | null; at: string | null }>(
    `select wait_event as waits, (select bytes_processed::text from pg_stat_progress_copy copy where copy.pid = activity.pid) as at
     from pg_stat_activity activity where pid = $1 and (state = 'active' or state_change > now() - interval '5 seconds')`,
    [pid],
  );
  const [session] = rows;
  if (!session) return 'gone';
  // Nothing of what it writes has arrived for long; what it reads may be on a slow way, and then it gets on.
  const waitsForUs = session.waits === 'ClientWrite' || (session.waits === 'ClientRead' && givenAll);
  return waitsForUs ? `waits for us at ${session.waits} ${session.at}` : 'alive or unknown';
}
