/** A TCP proxy on loopback that does what networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Place {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** COMMIT has been passed on, and its answer is not to arrive. */
  doomed: boolean;
}

/** A `Query` message as it stands on the wire: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');

export class FaultyProxy {
  readonly #target: Place;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  readonly #forgotten = new Set<Socket>();
  #latencyMs = 0;
  #silent = false;
  #answersToLose = 0;
  #forgetsAt: string | null = null;
  #lost = 0;

  private constructor(target: Place) {
    this.#target = target;
    this.#listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#serve(client));
  }

  static async start(target: Place): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#listener.once('error', reject);
      proxy.#listener.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  /** Where it listens. */
  get place(): Place {
    return { host: '127.0.0.1', port: (this.#listener.address() as { port: number }).port };
  }

  /** How many it has at the moment. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Everything arrives so much later. */
  delay(ms: number): void {
    this.#latencyMs = ms;
  }

  /** Nothing arrives any more, and nobody is told; what was sent arrives when it is over. */
  silence(on: boolean): void {
    this.#silent = on;
    for (const { client, server } of this.#pairs) {
      for (const socket of [client, server]) {
        if (on) socket.pause();
        else socket.resume();
      }
    }
  }

  /** All connections are reset. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** The servers' side of all connections is gone; the clients hear nothing of it. */
  halfOpen(): void {
    for (const pair of this.#pairs) this.#forget(pair);
  }

  /** From now on a connection whose client sends this is half-open instead; null ends it. */
  halfOpenAt(sent: string | null): void {
    this.#forgetsAt = sent;
  }

  /** What one side sends does not arrive any more on the connections that there are; the other side is heard. */
  lose(side: 'client' | 'server'): void {
    for (const pair of this.#pairs) pair[side].removeAllListeners('data').pause();
  }

  /** The next answers to COMMIT do not arrive: the connection is gone instead. */
  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** How many answers to COMMIT were lost since this was asked last. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  async stop(): Promise<void> {
    this.#listener.close();
    this.reset();
    for (const client of this.#forgotten) client.resetAndDestroy();
  }

  #forget(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.server.destroy();
    pair.client.removeAllListeners('data');
    pair.client.resume();
    this.#forgotten.add(pair.client);
  }

  #serve(client: Socket): void {
    const server = connect({ ...this.#target, noDelay: true });
    const pair: Pair = { client, server, doomed: false };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        // One half was taken away on purpose.
        if (!this.#pairs.delete(pair)) return;
        client.destroy();
        server.destroy();
      });
      if (this.#silent) socket.pause();
    }
    // Not even the goodbye of one that is forgotten is answered.
    client.on('end', () => {
      if (this.#pairs.has(pair)) client.end();
    });
    client.on('data', (data) => {
      if (this.#forgetsAt !== null && data.includes(this.#forgetsAt, 0, 'latin1')) {
        this.#forget(pair);
        return;
      }
      if (this.#answersToLose > 0 && data.includes(COMMIT)) {
        this.#answersToLose -= 1;
        pair.doomed = true;
      }
      this.#pass(data, client, server);
    });
    server.on('data', (data) => {
      if (pair.doomed) {
        this.#lost += 1;
        client.resetAndDestroy();
        server.destroy();
      } else this.#pass(data, server, client);
    });
  }

  #pass(data: Buffer, from: Socket, to: Socket): void {
    const write = () => {
      if (to.destroyed || to.write(data)) return;
      from.pause();
      to.once('drain', () => {
        if (!this.#silent && from.listenerCount('data') > 0) from.resume();
      });
    };
    if (this.#latencyMs > 0) setTimeout(write, this.#latencyMs);
    else write();
  }
}
