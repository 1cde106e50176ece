import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * The folder for what is costly to fetch and the same for every project: `$SLUICE_CACHE_DIR`, else `$XDG_CACHE_HOME/sluice`,
 * else `~/.cache/sluice`. It may be deleted at any time.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.SLUICE_CACHE_DIR) return resolve(env.SLUICE_CACHE_DIR);
  if (env.XDG_CACHE_HOME) return resolve(env.XDG_CACHE_HOME, 'sluice');
  return join(env.HOME || homedir(), '.cache', 'sluice');
}
