/** Tells who asks over HTTP whether this worker takes work: what restarts and balances containers asks that way. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describeError, PermanentError } from '../src/errors.ts';

export interface HealthEndpoint {
  close(): void;
}

/**
 * `GET /health`: 200 while `isWell` says so, else 503. A process that hangs does not answer at all.
 *
 * @param address host and port to listen on, as `0.0.0.0:9465`
 * @throws PermanentError `CannotListen`
 */
export async function startHealthEndpoint(address: string, isWell: () => boolean): Promise<HealthEndpoint> {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(address) ?? [];
  const server = createServer((request, response) => {
    const known = request.url === '/health';
    response.writeHead(known ? (isWell() ? 200 : 503) : 404, { 'content-type': 'text/plain' });
    response.end(known ? (isWell() ? 'takes work\n' : 'does not take work\n') : 'there is /health\n');
  });
  try {
    if (!host) throw new Error('it is a host and a port, as 0.0.0.0:9465');
    await once(server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }), 'listening');
  } catch (error) {
    throw new PermanentError(
      'CannotListen',
      `SLUICE_HEALTH_ADDRESS is ${address}: ${describeError(error)}. Name another, or leave it out.`,
      {
        cause: error,
      },
    );
  }
  // Nothing waits for it: the worker ends when its work has ended.
  server.unref();
  return { close: () => server.close() };
}
