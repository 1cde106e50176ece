/** What is written for containers, as it holds for processes: other addresses, other paths, and nothing else. */

export interface Rendering {
  /** Address of the part itself: what it listens on. */
  readonly own: string;
  /** Addresses of all parts, by name. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Paths in the container, and where those are on this machine. */
  readonly paths: ReadonlyMap<string, string>;
}

/** `0.0.0.0` becomes the own address, `name:port` that of the part, and paths of the container those of this machine. */
export function render(text: string, { own, addresses, paths }: Rendering): string {
  // "1pg1" and "a.pg1" are other names.
  const names = /(?<![\w.-])([a-z][a-z0-9-]*)(?=:\d)/g;
  let rendered = text.replaceAll('0.0.0.0', own).replace(names, (name) => addresses.get(name) ?? name);
  // The longest first: one may lie in another.
  const inContainer = [...paths.keys()].sort((a, b) => b.length - a.length);
  if (inContainer.length > 0) {
    const path = new RegExp(`(?<![\\w./-])(?:${inContainer.map(escapeRegExp).join('|')})(?![\\w-])`, 'g');
    rendered = rendered.replace(path, (found) => paths.get(found) ?? found);
  }
  return rendered;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
