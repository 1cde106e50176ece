import { createHash } from 'node:crypto';

/** Length of a fingerprint: 64 bits, enough to tell the versions of a pipeline apart. */
const DIGITS = 16;

/**
 * Short hash of a module's code. It is given minified code with the local imports in it, so that neither formatting nor comments
 * change it, and no path of this machine is in it.
 */
export function fingerprintOf(code: string): string {
  return createHash('sha256').update(code).digest('hex').slice(0, DIGITS);
}
