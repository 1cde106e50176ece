/** One loopback address for each part: on Linux all of 127.0.0.0/8 is this machine, so that parts keep the ports that they have everywhere. */
import { createHash } from 'node:crypto';
import { PermanentError } from '../errors.ts';
import { whyNotListen } from '../local/free-port.ts';

/** Its first three numbers. */
export type Network = string;

const FIRST_HOST = 10;
/** Something of every cluster listens here, at its first address: etcd. */
const FIRST_PORT = 2379;

/** Addresses of the parts, in the order given. */
export function addressesIn(network: Network, parts: readonly string[]): Map<string, string> {
  return new Map(parts.map((part, nth) => [part, `${network}.${FIRST_HOST + nth}`]));
}

/**
 * A network that nobody uses: always the same for a folder, where it is free.
 * @param taken those that are not to be chosen
 * @throws PermanentError `NoLoopback`
 */
export async function chooseNetwork(folder: string, taken: readonly Network[] = []): Promise<Network> {
  const seed = createHash('sha256').update(folder).digest();
  for (let nth = 0; nth < 100; nth += 1) {
    const network = `127.${64 + (((seed[0] ?? 0) + nth) % 128)}.${seed[1] ?? 0}`;
    if (!taken.includes(network) && (await whyNotListen(`${network}.${FIRST_HOST}`, FIRST_PORT)) === null) return network;
  }
  throw new PermanentError(
    'NoLoopback',
    `no loopback address such as 127.64.0.10 can be listened on at port ${FIRST_PORT}. A cluster of processes needs Linux; elsewhere use docker-compose.yml.`,
  );
}
