/** Lays one Compose file over another: https://docs.docker.com/reference/compose-file/merge/ */

/** Lists that are commands are replaced; all others grow. */
const REPLACED = new Set(['command', 'entrypoint', 'test']);

export function layOver(below: unknown, above: unknown, key = ''): unknown {
  if (Array.isArray(below) && Array.isArray(above)) {
    if (REPLACED.has(key)) return above;
    if (key !== 'volumes') return [...below, ...above];
    // What is mounted at the same place is mounted there once.
    const targets = new Set(above.map(targetOf));
    return [...below.filter((volume) => !targets.has(targetOf(volume))), ...above];
  }
  if (!isMapping(below) || !isMapping(above)) return above;
  const merged: Record<string, unknown> = { ...below };
  for (const [name, value] of Object.entries(above)) merged[name] = name in below ? layOver(below[name], value, name) : value;
  return merged;
}

function targetOf(volume: unknown): string {
  return String(volume).split(':')[1] ?? String(volume);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
