/** A TCP proxy in front of a PostgreSQL that breaks chosen connections at their COMMIT. */
import { connect, createServer, type Socket } from 'node:net';
import { cleanups } from './cleanup.ts';

/** `unsent`: COMMIT never reaches the server. `unanswered`: the server has committed, and its answer never reaches the client. */
export type Breakage = 'unsent' | 'unanswered';

export interface Proxy {
  /** The database behind it, through it. */
  readonly url: string;
  /** Breaks the next transaction in which a statement like this was sent, once. */
  breakCommit(statement: RegExp, how: Breakage): void;
  /** New connections go to this server; those that there are stay. */
  leadTo(databaseUrl: string): void;
  /** Ends all connections. */
  dropAll(): void;
  /** Breakages that have not happened yet. */
  readonly unbroken: () => string[];
}

interface Armed {
  readonly statement: RegExp;
  readonly how: Breakage;
}

/** `Query` messages as they stand on the wire: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const COMMIT = message('commit');
const BEGIN = 'begin ';

export async function startProxy(databaseUrl: string): Promise<Proxy> {
  let target = new URL(databaseUrl);
  const armed: Armed[] = [];
  const sockets = new Set<Socket>();

  const serve = (client: Socket) => {
    const server = connect(Number(target.port), target.hostname);
    let doomed: Armed | undefined;
    let committed = false;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    const breakOff = () => {
      client.resetAndDestroy();
      server.destroy();
    };
    client.on('data', (data) => {
      const sent = data.toString('latin1');
      if (sent.includes(BEGIN)) doomed = undefined;
      doomed ??= armed.find(({ statement }) => statement.test(sent));
      if (doomed && armed.includes(doomed) && sent.includes(COMMIT)) {
        armed.splice(armed.indexOf(doomed), 1);
        if (doomed.how === 'unsent') return breakOff();
        committed = true;
      }
      server.write(data);
    });
    server.on('data', (data) => {
      // What comes now is the answer to COMMIT: the server has done it.
      if (committed) breakOff();
      else client.write(data);
    });
  };

  const listener = createServer(serve);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  const url = new URL(databaseUrl);
  url.port = String((listener.address() as { port: number }).port);
  return {
    url: url.href,
    leadTo: (other) => {
      target = new URL(other);
    },
    dropAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    breakCommit: (statement, how) => armed.push({ statement, how }),
    unbroken: () => armed.map(({ statement, how }) => `${statement.source} ${how}`),
  };
}

function message(text: string): string {
  const body = Buffer.from(`${text}\0`, 'latin1');
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]).toString('latin1');
}
