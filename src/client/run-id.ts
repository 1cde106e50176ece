import { createHash } from 'node:crypto';
import type { Json } from '../contracts/run.ts';

/**
 * The id of a run that nobody gave one: the pipeline and the day (UTC), `flights-2026-11-23`, and with parameters a short hash of
 * them, `flights-2026-11-23-1f3a9c`. The same work asked for twice is one run while it runs, and other parameters are another run.
 */
export function defaultRunId(pipeline: string, params: { readonly [name: string]: Json }, now = new Date()): string {
  const day = now.toISOString().slice(0, 10);
  const given = Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
  if (given.length === 0) return `${pipeline}-${day}`;
  return `${pipeline}-${day}-${createHash('sha256').update(JSON.stringify(given)).digest('hex').slice(0, 6)}`;
}
