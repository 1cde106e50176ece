/** The regions, and where their parts are reached: through the proxies of each, at the ports of `deploy/haproxy`. */
import { PermanentError } from '../errors.ts';

export interface Region {
  readonly name: string;
  /** Hosts of its proxies; any of them will do. */
  readonly proxies: readonly string[];
}

/** Ports of a region's proxies. */
export const REGION_PORTS = {
  temporal: 7233,
  /** The target, while it is the primary. */
  target: 5442,
  /** The target, whatever it is. */
  targetAny: 5443,
  /** Patroni's interface of the target. */
  control: 8010,
} as const;

const REGION = /^([a-z][a-z0-9-]{0,30})=([^=\s]+)$/;

/**
 * @param text `a=proxy1.a,proxy2.a b=proxy1.b`
 * @throws PermanentError `InvalidRegions`
 */
export function parseRegions(text: string): Region[] {
  const regions = text
    .trim()
    .split(/\s+/)
    .map((each): Region => {
      const [, name, proxies] = REGION.exec(each) ?? invalid(text);
      return { name: name as string, proxies: (proxies as string).split(',').filter((proxy) => proxy !== '') };
    });
  if (new Set(regions.map(({ name }) => name)).size < 2 || regions.some(({ proxies }) => proxies.length === 0)) invalid(text);
  return regions;
}

/** The regions of SLUICE_REGIONS; null where it is not set. @throws PermanentError `InvalidRegions` */
export function regionsOf(env: NodeJS.ProcessEnv): Region[] | null {
  return env.SLUICE_REGIONS ? parseRegions(env.SLUICE_REGIONS) : null;
}

/** `host:port` of what is behind the proxies of a region. */
export function addressesOf({ proxies }: Region, port: keyof typeof REGION_PORTS): string[] {
  return proxies.map((proxy) => `${proxy}:${REGION_PORTS[port]}`);
}

function invalid(text: string): never {
  throw new PermanentError(
    'InvalidRegions',
    `SLUICE_REGIONS is "${text}". It names two regions or more with the hosts of their proxies: a=proxy1.a,proxy2.a b=proxy1.b,proxy2.b`,
  );
}
