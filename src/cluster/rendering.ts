/** What is written for containers, as it holds for processes: other addresses, other paths, and nothing else. */

export interface Rendering {
  /** Address of the part itself: what it listens on. */
  readonly own: string;
  /** Addresses of all parts, by name. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Addresses in all regions, by names that mean nothing else. */
  readonly regional?: ReadonlyMap<string, string>;
  /** Paths in the container, and where those are on this machine. */
  readonly paths: ReadonlyMap<string, string>;
}

/** The workers of docker-compose.yml where a file lists them all: there may be more of them here, or fewer. */
const WORKERS = /"worker1:(\d+)"(?:, "worker\d+:\1")*/g;
const WORKER = /^worker\d+$/;

/**
 * A list of all workers becomes one of those that there are, `0.0.0.0` the own address, `name:port` and `host: name` that of the part, names of
 * other regions theirs, and paths of the container those of this machine.
 */
export function render(text: string, { own, addresses, regional = new Map(), paths }: Rendering): string {
  // "1pg1" and "a.pg1" are other names.
  const names = /(?<=\bhost: )[a-z][a-z0-9-]*|(?<![\w.-])[a-z][a-z0-9-]*(?=:\d)/g;
  const workers = [...addresses.keys()].filter((name) => WORKER.test(name));
  const here = text
    .replace(WORKERS, (_all, port: string) => workers.map((name) => `"${name}:${port}"`).join(', '))
    .replaceAll('0.0.0.0', own)
    .replace(names, (name) => regional.get(name) ?? addresses.get(name) ?? name);
  return replaceAll(replaceAll(here, regional, '\\w.-'), paths, '\\w./-');
}

/** @param before what must not stand before a name: with it, it is another one */
function replaceAll(text: string, names: ReadonlyMap<string, string>, before: string): string {
  if (names.size === 0) return text;
  // The longest first: one may lie in another.
  const longestFirst = [...names.keys()].sort((a, b) => b.length - a.length).map(escapeRegExp);
  const pattern = new RegExp(`(?<![${before}])(?:${longestFirst.join('|')})(?![\\w-])`, 'g');
  return text.replace(pattern, (found) => names.get(found) ?? found);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
