import { createServer } from 'node:net';
import { PermanentError } from '../errors.ts';

/**
 * Ports are taken from below the range the system uses for outgoing connections (32768 and up on Linux): a client that keeps
 * trying a port of that range while its server is down can end up connected to itself, and then holds the port.
 */
const lowest = 20_000;
const highest = 32_000;

/** Why nothing could listen there now, as the code of a system error (`EADDRINUSE`, ...); null where something could. */
export function whyNotListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** Whether something could listen on this port of the loopback address now. */
async function isPortFree(port: number): Promise<boolean> {
  return (await whyNotListen('127.0.0.1', port)) === null;
}

/**
 * A port of the loopback address that is free now: the first free one of `preferred`, else any. Nothing holds it until the
 * server listens, so a start that finds it taken has to choose again.
 */
export async function chooseFreePort(preferred: readonly (number | undefined)[] = []): Promise<number> {
  for (const port of preferred) {
    if (port !== undefined && (await isPortFree(port))) return port;
  }
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await isPortFree(port)) return port;
  }
  throw new PermanentError(
    'NoFreePort',
    `no free port found on 127.0.0.1 between ${lowest} and ${highest}. Stop something that listens there.`,
  );
}
